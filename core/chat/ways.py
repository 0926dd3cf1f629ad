"""Which way a question takes: a search, the conversation itself, a whole document, or a polite word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.types import ChatMessage, Way

# Only the whole message counts: "Hello, what is the warranty?" is a question.
GREETING = re.compile(
    r"(?:hi|hello|hey|hi there|hello there|good (?:morning|afternoon|evening|day)|hallo|guten (?:morgen|tag|abend)|"
    r"servus|moin|bonjour|bonsoir|salut|hola|buenos d[ií]as|buenas (?:tardes|noches)|ciao|ol[áa]|你好|您好|こんにちは|"
    r"안녕하세요|привет|здравствуйте|добрый день|مرحبا|السلام عليكم|नमस्ते|γεια(?: σας| σου)?|καλημέρα|καλησπέρα|"
    r"bun[ăa](?: ziua| seara)?|merhaba|selam|günaydın|iyi günler|xin chào|chào(?: bạn)?|สวัสดี(?:ครับ|ค่ะ)?)",
    re.IGNORECASE,
)
THANKS = re.compile(
    r"(?:thanks|thank you|many thanks|thanks a lot|thx|great|perfect|ok(?:ay)?|danke|vielen dank|danke schön|"
    r"merci(?: beaucoup)?|gracias|muchas gracias|grazie|obrigad[oa]|谢谢|"
    r"ありがとう(?:ございます)?|감사합니다|спасибо|شكرا|धन्यवाद|शुक्रिया|ευχαριστώ(?: πολύ)?|mul[țt]umesc|"
    r"teşekkür(?:ler| ederim)|sağ ?ol|cảm ơn(?: bạn)?|ขอบคุณ(?:ครับ|ค่ะ)?)"
    r"(?:,? (?:thanks|thank you|danke))?",
    re.IGNORECASE,
)
ENDS = " \t\n.!?,;:…。！？🙂👋🙏"
CONVERSATION = re.compile(
    r"\b(?:what|which) (?:did|have|was|were) (?:i|we|you|my|your)\b.*\b(?:ask|asked|say|said|talk|talked|discuss|"
    r"discussed|questions?|answer|answered|tell|told)\b|"
    r"\byour (?:last|previous|first|earlier) (?:answer|reply|response|message)\b|"
    r"\bmy (?:last|previous|first|earlier) (?:question|message)\b|"
    r"\b(?:repeat|rephrase|reword|shorten|simplify|translate|expand) (?:that|this|it|your (?:answer|reply|response))\b|"
    r"\b(?:say|put|explain) (?:that|this|it) (?:again|differently|more simply|in other words|in simpler words)\b|"
    r"\b(?:our|this|the) (?:conversation|chat|discussion)(?: so far)?\s*[.?!]*$|"
    r"\b(?:was habe ich|was hast du|deine letzte antwort|meine (?:erste|letzte) frage|unser(?:e[nms]?)? gespräch)\b",
    re.IGNORECASE,
)
WHOLE = (
    r"(?:document|file|text|paper|report|manual|book|handbook|article|pdf|contract|guide|policy|page|presentation|"
    r"letter)"
)
SUMMARY = re.compile(
    r"^\s*(?:(?:please|can you|could you|would you)\s+)*(?:summari[sz]e|sum up|tl;?dr|"
    r"(?:give|write)(?: me)?(?: an?| the)?(?: short| brief| quick)? (?:summary|overview|outline)(?: of)?)\b|"
    rf"\bwhat(?:'s| is| does) (?:this|the|that) {WHOLE} (?:about|say|cover|contain)\s*[?.!]*\s*$|"
    r"^\s*(?:bitte\s+)?(?:fasse?|fass)\b.*\bzusammen\b|^\s*zusammenfassung\b|\bworum geht es in (?:diesem|dem)\b|"
    r"^\s*(?:résume[rz]?|fais(?:-moi)? un résumé|resume|resumir|haz un resumen)\b|^\s*(?:请?总结|概括)",
    re.IGNORECASE,
)
SHORT = 25  # words: who writes more asks something


def way_of(question: str, history: Sequence[ChatMessage]) -> Way:
    """The way that the wording alone tells; in doubt the documents are searched."""
    bare = question.strip(ENDS)
    if GREETING.fullmatch(bare) or THANKS.fullmatch(bare):
        return Way.greeting
    if len(question.split()) > SHORT:
        return Way.documents
    if history and CONVERSATION.search(question):
        return Way.conversation
    return Way.summary if SUMMARY.search(question) else Way.documents


def is_thanks(question: str) -> bool:
    """Whether a polite message is one of thanks."""
    return bool(THANKS.fullmatch(question.strip(ENDS)))
