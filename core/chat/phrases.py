"""What the product says itself, in the language of the question, and how models say that they found nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from core.words import fold, tongue

ENGLISH = "en"
HELLO = {
    "ar": "مرحبًا. اسألني عن مستنداتك؛ أجيب منها وأبيّن موضع الإجابة.",
    "de": "Hallo. Fragen Sie etwas zu Ihren Dokumenten; ich antworte daraus und zeige, wo es steht.",
    "el": "Γεια σας. Ρωτήστε με κάτι για τα έγγραφά σας· απαντώ από αυτά και δείχνω πού βρίσκεται.",
    ENGLISH: "Hello. Ask me something about your documents; I answer from them and show where it stands.",
    "es": "Hola. Pregúnteme algo sobre sus documentos; respondo a partir de ellos y muestro dónde está.",
    "fr": "Bonjour. Posez-moi une question sur vos documents ; j'y réponds à partir d'eux et je montre où c'est écrit.",
    "hi": "नमस्ते। अपने दस्तावेज़ों के बारे में कुछ पूछिए; मैं उन्हीं से उत्तर देता हूँ और दिखाता हूँ कि वह कहाँ लिखा है।",
    "ro": "Bună ziua. Întrebați-mă ceva despre documentele dumneavoastră; răspund din ele și arăt unde scrie.",
    "ru": "Здравствуйте. Спросите о своих документах: я отвечаю по ним и показываю, где это написано.",
    "th": "สวัสดี ถามเกี่ยวกับเอกสารของคุณได้ ฉันตอบจากเอกสารและแสดงตำแหน่งที่พบ",
    "tr": "Merhaba. Belgeleriniz hakkında bir şey sorun; onlardan yanıt verir ve nerede yazdığını gösteririm.",
    "vi": "Xin chào. Hãy hỏi về tài liệu của bạn; tôi trả lời từ đó và chỉ ra chỗ viết.",
    "zh": "您好。请就您的文档提问；我根据文档回答，并指出出处。",
}
WELCOME = {
    "ar": "على الرحب والسعة.",
    "de": "Gern geschehen.",
    "el": "Παρακαλώ.",
    ENGLISH: "You are welcome.",
    "es": "De nada.",
    "fr": "Je vous en prie.",
    "hi": "आपका स्वागत है।",
    "ro": "Cu plăcere.",
    "ru": "Пожалуйста.",
    "th": "ด้วยความยินดี",
    "tr": "Rica ederim.",
    "vi": "Không có gì.",
    "zh": "不客气。",
}
NOTHING = {
    "ar": "لم أجد هذا في مستنداتك.",
    "de": "Das habe ich in Ihren Dokumenten nicht gefunden.",
    "el": "Δεν το βρήκα στα έγγραφά σας.",
    ENGLISH: "I could not find this in your documents.",
    "es": "No he encontrado esto en sus documentos.",
    "fr": "Je n'ai pas trouvé cela dans vos documents.",
    "hi": "यह मुझे आपके दस्तावेज़ों में नहीं मिला।",
    "ro": "Nu am găsit acest lucru în documentele dumneavoastră.",
    "ru": "Я не нашёл этого в ваших документах.",
    "th": "ฉันไม่พบสิ่งนี้ในเอกสารของคุณ",
    "tr": "Bunu belgelerinizde bulamadım.",
    "vi": "Tôi không tìm thấy điều này trong tài liệu của bạn.",
    "zh": "我在您的文档中没有找到相关内容。",
}
SEARCHED = {
    "ar": "بحثت عن “{}”.",
    "de": "Gesucht habe ich nach „{}“.",
    "el": "Έψαξα για «{}».",
    ENGLISH: "I searched for “{}”.",
    "es": "He buscado «{}».",
    "fr": "J'ai cherché « {} ».",
    "hi": "मैंने “{}” खोजा।",
    "ro": "Am căutat „{}”.",
    "ru": "Я искал «{}».",
    "th": "ฉันค้นหา “{}”",
    "tr": "“{}” diye aradım.",
    "vi": "Tôi đã tìm “{}”.",
    "zh": "我搜索了“{}”。",
}
NARROWED = {
    "ar": "لم أبحث إلا في المستندات التي اخترتها.",
    "de": "Durchsucht wurden nur die Dokumente, die Sie ausgewählt haben.",
    "el": "Έψαξα μόνο στα έγγραφα που επιλέξατε.",
    ENGLISH: "Only the documents that you chose were searched.",
    "es": "Solo he buscado en los documentos que eligió.",
    "fr": "Je n'ai cherché que dans les documents que vous avez choisis.",
    "hi": "मैंने केवल आपके चुने हुए दस्तावेज़ों में खोजा।",
    "ro": "Am căutat doar în documentele pe care le-ați ales.",
    "ru": "Я искал только в выбранных вами документах.",
    "th": "ฉันค้นหาเฉพาะในเอกสารที่คุณเลือก",
    "tr": "Yalnızca seçtiğiniz belgelerde aradım.",
    "vi": "Tôi chỉ tìm trong những tài liệu bạn đã chọn.",
    "zh": "我只搜索了您选择的文档。",
}
OFFERED = {
    "ar": "أقرب المقاطع هي:",
    "de": "Am nächsten kommen diese Stellen:",
    "el": "Τα πλησιέστερα αποσπάσματα είναι:",
    ENGLISH: "The nearest passages are:",
    "es": "Los pasajes más cercanos son:",
    "fr": "Les passages les plus proches sont :",
    "hi": "सबसे निकट के अंश ये हैं:",
    "ro": "Cele mai apropiate pasaje sunt:",
    "ru": "Ближе всего эти места:",
    "th": "ข้อความที่ใกล้เคียงที่สุดคือ:",
    "tr": "En yakın bölümler şunlar:",
    "vi": "Những đoạn gần nhất là:",
    "zh": "最接近的段落是：",
}
# What belongs to which language of the polite words that `ways` knows; the others are English, or told by their script.
POLITE = {
    "de": "hallo|guten (?:morgen|tag|abend)|servus|moin|danke.*|vielen dank",
    "el": "γεια.*|καλημερα|καλησπερα|ευχαριστω.*",
    "es": "hola|buenos dias|buenas (?:tardes|noches)|(?:muchas )?gracias",
    "fr": "bonjour|bonsoir|salut|merci.*",
    "ro": "buna.*|multumesc.*",
    "tr": "merhaba|selam|gunaydin|iyi (?:gunler|aksamlar)|tesekkur.*|sag ?ol",
    "vi": "xin chao|chao.*|cam on.*",
}

# How a model says in a sentence that the passages do not hold it; patterns match text without capitals and accents.
_ABSTAINS: Mapping[str, str] = {
    ENGLISH: r"\b(?:could not|couldn.t|cannot|can.t|did not|didn.t|do not|does not|doesn.t|unable to|not)\s+"
    r"(?:find|found|mentioned|provided|specified|stated|contain|hold|say|mention|provide|specify)|"
    r"\bno (?:information|mention|details?)\b[^.!?\n]{0,60}\b(?:passages?|documents?|context|text|found|given|"
    r"provided)\b|"
    r"\b(?:passages?|documents?|context|text)\b[^.!?\n]{0,20}\b(?:has|have|gives?|contains?) no (?:information|mention|"
    r"details?|answer)\b",
    "ar": r"(?:لم|لا|لن)\s+(?:يتم\s+|اتمكن من\s+|استطع\s+|استطيع\s+|يمكنني\s+)?"
    r"(?:اجد|اعثر|العثور|ايجاد|[يت]?ذكر|[يت]رد|[يت]حتوي|[يت]حدد|[يت]تضمن|[يت]وضح|[يت]شير|"
    r"[يت]وجد\s+(?:اي\s+)?(?:معلوم|ذكر|اجابة))",
    "de": r"\b(?:nicht|keine?[nrms]?)\b[^.!?\n]{0,40}\b(?:finden|gefunden|genannt|erwahnt|angegeben|enthalten|"
    r"aufgefuhrt|beantworten|hervor)\b|\bkeine?[nrms]?\s+(?:angaben?|information(?:en)?|hinweise?|auskunft|antwort)\b|"
    r"\b(?:passagen?|dokumente?n?|unterlagen|auszuge?n?|texte?s?|kontext|vertrag)\s+"
    r"(?:nenn|erwahn|enthalt|sag|geb|gib)\w*\b[^.!?\n]{0,60}\b(?:nicht|keine?[nrms]?)\b",
    "el": r"\bδεν\s+(?:\w+\s+){0,3}?(?:βρ[ηι]κα|βρω|βρεθηκ|βρισκ|αναφερ|περιεχ|προσδιοριζ|καθοριζ|αναγραφ|παρεχ|"
    r"υπαρχ\w+ (?:πληροφορ|αναφορ|απαντησ))",
    "es": r"\bno\s+(?:(?:se|lo|la|he|pude|puedo|ha|hay|fue|esta|es|me)\s+){0,3}(?:encontr|encuentr|mencion|especific|"
    r"indic(?:an?|o|ad[ao]s?|aron)\b|contien|dicen?\b|proporcion|constan?\b|aparec|informacion|posible encontrar)",
    "fr": r"\bn(?:e\s|['’])(?:[\w'’]+\s){0,4}?(?:pas|aucune?)\b[^.!?\n]{0,30}?\b(?:trouv|mentionn|precis|indiqu|"
    r"specifi|conten|fourni|information)|\bne\s+(?:(?:le|la|les)\s+)?(?:mentionn|precis|indiqu|specifi|contien|fourni|di[ts])"
    r"\w*\s+(?:pas|aucune?)\b",
    "hi": r"नही[ंँ]?\s+(?:मिल|पाय|पाई|बताय|बताई|दिय|दी\s|कह|ढूढ|ढूंढ|खोज)|"
    r"(?:उल्लेख|जानकारी|निर्दिष्ट|उल्लिखित|जिक्र|उत्तर|जवाब)\s+(?:\S+\s+)?नही",
    "ro": r"\bnu\s+(?:(?:am|se|este|e|sunt|a|au|fost|pot|putut|exista|l-am|o)\s+){0,3}(?:gasi|gases|mention|specific|"
    r"preciz|contin|indic|spun|ofer|informati)",
    "ru": r"\bне\s+(?:(?:удалось|смог|смогла|могу|был|была|было|были)\s+){0,2}(?:нашел|нашла|наиден|наити|упомин|"
    r"упомян|указ|содерж|сообща|говорит|привед)|\bнет\s+(?:информаци|сведени|данных|ответа|упоминани)",
    "th": r"ไม่(?:สามารถ|ได้|มี|พบ|ปรากฏ)?\s?(?:การ)?(?:พบ|หา|ค้น|ระบุ|กล่าวถึง|บอก|ข้อมูล|ให้ข้อมูล|เจอ)",
    "tr": r"bulamad|bulunamad|bulunamam|\b(?:belirt|belirtil|bahset|bahsedil|icer|deginil|veril|soylen|aciklan|yer al|"
    r"bulun)(?:mi|mu|ma|me)(?:yor|mis|mus|z\b|makta|mekte)|\bbilgi (?:yok|bulunm|verilm)",
    "vi": r"\bkhong\s+(?:(?:đuoc|the|co|he|thay)\s+){0,3}(?:tim|đe cap|neu|noi|chua|cung cap|thong tin|xac đinh|nhac)",
    "zh": r"(?:没有|沒有|未能|未|无法|無法|没|不能)[^。！？\n]{0,8}(?:找到|提到|提及|说明|說明|指出|包含|记载|記載|"
    r"给出|給出|提供|得知|确定|確定|回答|相关信息|相關信息|相关内容)",
}


def abstains(text: str) -> bool:
    """Whether a text says that the documents do not hold something."""
    return bool(_pattern().search(_flat(text)))


def says_nothing_found(text: str) -> bool:
    """Whether a text is an answer of ours that nothing was found."""
    return text.startswith(tuple(NOTHING.values()))


def language_of(question: str) -> str:
    """The language that a question is answered in, as far as we speak it; else English."""
    language = tongue(question)
    return language if language in NOTHING else ENGLISH


def language_of_greeting(text: str) -> str:
    """The same of a greeting or a word of thanks, which are too short to tell it by themselves."""
    bare = _flat(text).strip(" \t\n.!?,;:…。！？")
    known = next((language for language, polite in POLITE.items() if re.fullmatch(polite, bare)), "")
    return known or (ENGLISH if bare.isascii() else language_of(text))


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{fold(pattern)})" for pattern in _ABSTAINS.values()))


def _flat(text: str) -> str:
    return fold(text.lower())
