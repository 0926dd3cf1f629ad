"""Texts to measure with: like the chunks of real documents in length and variety, and some that are unlike any.

They are the same on every machine, so that two machines, or two versions, can be compared.
"""

from __future__ import annotations

import random

_PROSE = """\
The water authority measures the level of the reservoir every morning and publishes the figure before noon.
Employees may work from home on up to twelve days a month, unless a project plan says otherwise.
In 1911 the mill burned down, and the town lost half of its workplaces within a single night.
A pump that runs dry destroys its seal; a float switch costs little and prevents it.
The committee rejected the proposal by nine votes to four, with two members absent.
Photosynthesis turns light into chemical energy, and nearly all food chains on land begin with it.
Please return the signed copy within 14 days; otherwise the offer of 3 May 2024 lapses.
Net revenue rose by 7.4 % to EUR 182.6 million, while operating costs fell for the third quarter in a row.
She put the lamp on the sill, listened for the ferry, and did not open the letter until it had left.
Patients with a known allergy to penicillin should tell the nurse before the infusion is started.
Use a torque of 25 Nm for the outer bolts and 18 Nm for the inner ones, crosswise and in two passes.
The old bridge carried trams until 1962; since then it has belonged to cyclists and to the wind.
Unless both parties agree in writing, neither may assign this contract to a third party.
Basalt cools fast and is therefore fine-grained, whereas granite, which cools slowly, shows its crystals.
If the light blinks twice, the battery is low; if it stays red, switch the device off and call the service.
The goalkeeper saved three penalties, yet the match was decided by an own goal in the last minute.
Every backup that has never been restored is a hope and not a backup.
Invoices above 10,000 need two signatures, and one of them must be that of the head of department.
Under the microscope the fibre looks like a twisted ribbon, which is why cotton feels soft and holds dye.
The museum shows 340 of its 12,000 maps; the others lie flat, in the dark, at 18 degrees.
To prove the lemma, assume the contrary and count the edges that leave the smaller of the two sets.
Trains to the coast leave from platform 6 every half hour, on Sundays and holidays every hour.
A judge may hear the case in private if a witness would otherwise be in danger.
Stir the flour into the butter, add the milk little by little, and let it simmer until it no longer tastes raw.
Between the two wars the harbour handled more grain than any other on that sea.
The sensor drifts by 0.2 kelvin a year, so calibrate it each spring against the reference in room B-113.
Nobody had told the new tenant that the cellar floods whenever the river rises above the second mark.
The model was trained on short questions; longer ones should be split before they are passed on.
Rent is due on the third working day of the month, and a fee of 2 % applies after the tenth.
Dolphins sleep with one half of the brain at a time and keep the opposite eye open.""".splitlines()

_OTHER = """\
Der Antrag ist schriftlich zu stellen; über ihn entscheidet der Vorstand innerhalb von vier Wochen.
Nach dem Regen stand das Wasser kniehoch in der Unterführung, und die Straßenbahn fuhr nicht mehr.
Le locataire doit rendre les clés au plus tard le dernier jour du mois, contre un reçu signé.
La pression baisse dès que la vanne s'ouvre, puis elle remonte lentement jusqu'à 4,2 bars.
El puerto cerró durante la tormenta y los barcos esperaron dos días frente a la costa.
La biblioteca abre a las nueve, salvo los lunes y los días festivos.
A reunião foi adiada para quinta-feira porque faltavam os números do último trimestre.
Il ponte fu costruito in tre anni e dipinto di verde, il colore della città.
Umowa zostaje zawarta na czas nieokreślony i może być wypowiedziana z miesięcznym wyprzedzeniem.
Договор вступает в силу со дня подписания и действует до конца календарного года.
Η βιβλιοθήκη ανοίγει στις εννέα και κλείνει το βράδυ, εκτός από την Κυριακή.
يبدأ الاجتماع في الساعة العاشرة صباحا وينتهي قبل الظهر.
水库的水位每天早上测量一次，并在中午之前公布。合同自签字之日起生效。
会議は木曜日に延期されました。資料は前日までにお送りください。
이 장치는 물에 닿으면 고장이 날 수 있으니 마른 곳에 보관하십시오.""".splitlines()

_FORMS = (
    "| Quarter | Revenue | Costs | Staff |\n|---|---|---|---|\n| Q1 | 41.2 | 33.0 | 212 |\n| Q2 | 44.9 | 32.1 | 219 |",
    "def area(radius: float) -> float:\n    if radius < 0:\n        raise ValueError(radius)\n    return 3 * radius**2",
    "SELECT name, COUNT(*) FROM orders JOIN people USING (person_id) WHERE paid IS NULL GROUP BY name LIMIT 30;",
    "Part no. 7741-B/2, qty 12, EAN 4006381333931, batch L2309-17, best before 2027-02, store at 2–8 °C",
    "1. Close the valve. 2. Wait for 30 s. 3. Open the drain (Fig. 4). 4. Check that p < 0.3 bar. 5. Remove the cover.",
    "From: j.weaver@example.org To: office@example.org Subject: RE: RE: Fwd: keys Date: Tue, 4 Mar 2025 08:12:55 +0100",
    "E = mc²; ∑ᵢ xᵢ² ≤ (∑ᵢ |xᵢ|)²; α → 0 as n → ∞, hence P(A ∩ B) = P(A)·P(B) for independent events",
)

_ODD = (
    "x",
    "?",
    "reset password",
    "Who signs invoices above 10,000?",
    "水",
    "🚲",
    "🚲🌧️☕ → 🏠 😀",
    "ALL DOORS MUST BE LOCKED AFTER 22:00!!!",
    "https://example.org/a/very/long/path?with=parameters&and=more#section-4.2",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen",
)

PARAGRAPHS = 54


def texts() -> list[str]:
    """Paragraphs, texts of a word or a character, and one that is longer than most models read."""
    return [*paragraphs(PARAGRAPHS), *_ODD, " ".join(_PROSE)]


def paragraphs(count: int) -> list[str]:
    """Texts of 20 to 130 words, most of them long, in an order that is always the same."""
    chance = random.Random(20)
    made = []
    for number in range(count):
        words = chance.choice((20, 60, 95, 105, 110, 115, 120, 125))
        # Most documents are prose in one language; every third one mixes in others, tables and code.
        lines = [*_PROSE, *_OTHER, *_OTHER, *_FORMS, *_FORMS] if number % 3 == 2 else _PROSE
        paragraph: list[str] = []
        while sum(len(line.split()) for line in paragraph) < words:
            paragraph.append(chance.choice(lines))
        made.append(" ".join(paragraph))
    return made
