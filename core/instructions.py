"""Stretches of a document that talk to a model instead of a reader: found by patterns and a score, without a model.

A document may say "ignore what you were told" in all innocence, so nothing is refused for it: such a stretch is marked
where people see it, and it does not reach the model.
"""

# ruff: noqa: E501 - a pattern is read as a whole
from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

ENOUGH = 1.0
MOST_SPANS = 200  # kept of one document
LONGEST = 600  # characters of a sentence; what goes on longer is looked at in pieces
OVERLAP = 150  # characters that two pieces, or two looks at neighbouring lines, have in common
FAR = 80  # characters between lines that can be one sentence
SHORT_LINE = 45  # a shorter line ends at its end; a longer one may go on in the next
# Runs are taken whole, from their beginning: to try every shorter one too would take a day on a line of a million dots.
ENDS = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s(?![ \t]*[a-z])|$)|[。！？]+|\n")
CLOSED = re.compile(r"[.!?…。！？।؟][\"'”’)\]]*$")
NEW_LINE = re.compile(r"[ \t]*(?:[-*•|#>\n]|\d{1,3}[.)]\s|$)")

# What is addressed: the answer, as nobody but a model gives one.
ANSWER = r"(?:answer|response|reply|output|completion)s?\b"
CHANGES = (
    r"(?:add|append|attach|augment|alter|adapt|begin|blend|capitali[sz]e|change|combine|compose|conceal|convert|craft|"
    r"deliver|disguise|embed|encode|encrypt|end|enhance|enrich|express|finish|format|give|group|hide|include|"
    r"incorporate|inject|insert|integrate|introduce|inver[ts]|invert|jumble|mask|mention|mislead|misspell|mix|modify|"
    r"obscure|phrase|prefix|present|produce|promote|provide|rearrange|recast|remove|render|repeat|rephrase|replace|"
    r"return|reverse|reword|rewrite|scramble|shift|shuffle|slip|spell|sprinkle|start|substitute|suggest|swap|tease|"
    r"transform|translate|transpose|turn|use|utili[sz]e|weave|write)"
)
ORDERS = (
    r"(?:instructions?|directions?|directives?|prompts?|guidelines?|commands?|guidance|restrictions?|polic(?:y|ies)|"
    r"programming|constraints?)"
)
WITHIN = r"(?:[^.!?\n]|[.!?](?=[\w\"']))"  # what may stand between two words of a sentence, addresses included
EARLIER = r"(?:previous|prior|above|earlier|preceding|foregoing|all|any|your|other|usual|existing|initial|original)"
SECRET = r"(?:system|developer|hidden|initial|secret|internal|original|above)"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A stretch of text, by its offsets, that looks like an instruction to a model; `kind` says which sort."""

    start: int
    end: int
    kind: str
    score: float


# Kind, weight, pattern, and the letters of which some must be there before the pattern is tried. What alone is enough
# weighs 1; the rest must come together in one sentence.
_SIGNS: tuple[tuple[str, float, str, str], ...] = (
    ("override", 1.0, rf"\b(?:ignor(?:e|ing)|disregard(?! (?:for|of)\b)|forget|override|bypass|neglect)\b[^.\n]{{0,30}}\b{EARLIER}\b[^.\n]{{0,30}}\b{ORDERS}", "ignor|disregard|forget|overrid|bypass|neglect"),
    ("override", 1.0, r"\b(?:ignore|forget|disregard(?! (?:for|of)\b))\b[^.\n]{0,20}\b(?:everything|anything|all|what)\b[^.\n]{0,20}\b(?:before|above|learned|told|said|earlier)\b", "ignore|forget|disregard"),
    ("override", 1.0, r"\b(?:ignore|forget|disregard(?! (?:for|of)\b)|bypass)\b[^.\n]{0,20}\b(?:previous|prior|all|your|the)\b[^.\n]{0,16}\b(?:inputs?|conversations?|rules|safety|guardrails|filters?|ethic\w*)\b", "ignore|forget|disregard|bypass"),
    ("override", 0.6, r"\bnew (?:instructions?|rules?|prompt|task|directive)\b\s*(?::|are\b|is\b)", "new "),
    ("override", 1.0, r"(?:忽略|无视|忘记)[^。\n]{0,12}(?:指令|指示|提示|规则)|(?:ignoriere?|vergiss|missachte)\b[^.\n]{0,30}\b(?:anweisung|vorgabe|regel)|(?:ignorez?|oubliez?)\b[^.\n]{0,30}\b(?:instructions?|consignes?)|(?:ignora|olvida)\b[^.\n]{0,30}\binstrucciones", "忽略|无视|忘记|ignor|vergiss|missachte|oubli|olvida"),
    ("persona", 0.6, r"\b(?:from now on|from this point on|for the rest of this conversation|henceforth)\b", "now on|this point on|this conversation|henceforth"),
    ("persona", 0.5, r"\byou(?:'re| are| will| must| should)?(?: now| going to| about to| no longer)?\b[^.\n]{0,24}\b(?:act(?:ing)? (?:like|as)|pretend(?:ing)?|role-?play(?:ing)?|simulat(?:e|ing|or)|immerse|answer(?:ing)?|respond|behave|play(?:ing)? the (?:role|part))\b", "you"),
    ("persona", 0.6, r"(?:^|[.!?:\n]\s*|please |will |to )(?:act (?:like|as)|pretend (?:you|to|that)|role-?play(?:ing)? as|simulate (?:a|an|developer)|behave (?:like|as)|take on the role|imagine you are|play the role)\b", "act |pretend|play|simulat|behave|imagine|role"),
    ("persona", 1.0, r"\bdo anything now\b|\b(?:developer|dan|god|chaos|opposite|realist|jailbreak) ?mode\b|\b(?:ignore|without|no) (?:any )?(?:ethical|moral|safety) (?:guidelines?|restrictions?|limits?|limitations?|boundaries|constraints?|filters?)", "anything now|mode|ethical|moral|safety"),
    ("persona", 0.5, r"\b(?:stay(?:ing)?|remain(?:ing)?|break(?:ing)?|be|responses must be) in(?:to)? character\b|\bbreak(?:ing)? character\b", "character"),
    ("persona", 0.5, r"\byou are (?:now |no longer )(?!ready|able|in the|on the|done|going to (?:see|learn))\w+", "you are "),
    ("persona", 0.5, r"\b(?:un(?:censored|filtered|restricted|ethical|hinged)|amoral|non-?moral|immoral)\b|\bjailbr(?:eak|oken)\w*|\bno (?:rules?|restrictions?|filters?|limitations?|censorship)\b|\bwithout (?:any )?(?:restrictions?|hesitation|filters?|censorship|approval|warnings?|disclaimers?)\b|\bdoes(?: not|n't) (?:follow|abide|have)\b[^.\n]{0,30}\b(?:rules|guidelines|policies|restrictions)\b", "uncen|unfil|unres|uneth|unhin|moral|jailbr|rules|restriction|filter|limit|censor|without|does"),
    ("model", 0.5, r"\bchat ?gpt\b|\bgpt-?\d\b|\b\w+GPT\b|\b(?:AI|large) (?:language )?(?:model|assistant|chatbot)\b|\blanguage model\b|\bas an AI\b|\bLLMs?\b|\bopen ?ai\b|\bchatbot\b|\bthe assistant\b", "gpt|model|ai |assistant|chatbot|llm|openai|open ai|as an ai"),
    ("model", 1.0, r"\b(?:note|message|instruction|attention|important|dear|hey|hi|hello)s?[:,]? (?:to |for )?(?:the |all |any )?(?:AI|LLM|chat ?gpt|language model|chatbot|AI (?:model|assistant))s?\b", "ai|llm|gpt|chat|model"),
    ("secrets", 1.0, rf"\b(?:reveal|print|show|repeat|output|display|leak|list|disclose|share|tell)\b[^.\n]{{0,40}}\b{SECRET} (?:prompts?|messages?|instructions?)\b", "prompt|message|instruction"),
    ("secrets", 0.6, r"\b(?:reveal|print|show|tell|send|give|leak|output|email|forward|disclose)\b[^.\n]{0,40}\b(?:passwords?|api keys?|credentials|secrets?|access tokens?|context window)\b", "password|api key|credential|secret|token|context window"),
    ("secrets", 0.5, r"\b(?:administrator|admin|root) password\b|\b(?:your|the) context window\b", "password|context window"),
    ("markup", 1.0, r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|begin_of_text|start_header_id|end_header_id|end_of_turn|end|start)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\[(?:end|start) (?:of )?(?:input|prompt|system)\]", "<|[|]"),
    ("markup", 0.6, r"</?(?:system|assistant|user|human|instructions?|prompt)>|^\W{0,6}(?:system|assistant|human|user ?-?query|system (?:prompt|message|instruction|override|announcement))\s?(?::|\])", "</|<|system|assistant|human|query|user"),
    ("markup", 0.5, r"<!--|\bADMIN_?OVERRIDE\b|\bresponse ?format\b|\bgod ?mode\b", "<!--|override|format|mode"),
    ("answer", 1.0, rf"\b{CHANGES}\b{WITHIN}{{0,120}}?\b(?:your|the model's|the assistant's)(?: \w+)? (?:{ANSWER}|(?:message|reply|text)\b(?=[^.\n]{{0,30}}(?:{ANSWER}|\Z)))", "your|'s"),
    ("answer", 1.0, rf"\b(?:in|to|into|within|throughout|at the (?:end|start|beginning) of|before|after)\s(?:your|each|every|all your)(?: \w+)? {ANSWER}[^.\n]{{0,60}}\b(?:{CHANGES}|always|never|encourage|invite|remind|recommend|urge|advertise|point|link|say)\b", "your|each|every"),
    ("answer", 1.0, r"\b(?:render|encode|scramble|translate|rewrite|format|encrypt) your (?:message|text)\b", "your"),
    ("answer", 1.0, r"(?:^|[.!?]\s+)(?:replace|substitute|swap|convert) (?:every|all|each)? ?(?:\w+ )?(?:letters?|vowels?|consonants?|characters?) (?:with|by|to|for)\b", "letter|vowel|consonant|character"),
    ("answer", 1.0, r"(?:^|[.!?]\s+)(?:please )?(?:use|apply|employ|answer|respond|reply|speak|write)\b[^.\n]{0,40}\b(?:caesar cipher|base ?64|rot ?13|morse code|pig latin|leet ?speak|only emojis?|emojis? only|reversed text)\b", "cipher|base|rot|morse|pig|leet|emoji|reversed"),
    ("answer", 0.6, rf"\b(?:your|all|every) {ANSWER}", "your|all|every"),
    ("answer", 1.0, r"\b(?:scramble|jumble|anagram|misspell|rearrange|reverse|substitute|encode|encrypt)\b[^.\n]{0,40}\b(?:letters?|words?|vowels?|characters?)\b[^.\n]{0,30}\byour\b", "your"),
    ("answer", 0.6, r"\b(?:answer|respond|reply|speak|write back)\b (?:only |always |exclusively )?(?:with|in|using|as|by)\b", "answer|respond|reply|speak|write back"),
    ("answer", 0.5, r"\bwhen (?:you are )?(?:summari[sz]ing|answering|processing|translating|responding|asked|reading) (?:this|the|about|to|it)\b", "when "),
    ("tools", 0.7, r"\b(?:call|use|invoke|run|execute) the [\w-]+ (?:tool|function|plugin)\b", "tool|function|plugin"),
    ("tools", 1.0, r"\b(?:decode|decrypt|translate|apply \w+)\b[^.\n]{0,60}\b(?:and|then) (?:follow|comply|execute|obey)\b|\bthen comply\b", "follow|comply|execute|obey"),
)  # fmt: skip


# A sentence that asks for a text to be written, or asks somebody who answers. In a text for readers it is an exercise or
# a heading; it is only in the way where it has nothing to do with what was asked. What a reader of a manual is told to
# do is no such task: "Create a new user", "Give the patient 5 ml".
_PRODUCTS = (
    r"(?:poems?|haikus?|limericks?|songs?|lyrics|essays?|stor(?:y|ies)|tales?|jokes?|letters?|speech(?:es)?|e-?mails?|"
    r"tweets?|posts?|articles?|blogs?|paragraphs?|introductions?|conclusions?|summar(?:y|ies)|overviews?|outlines?|"
    r"explanations?|descriptions?|reviews?|recipes?|slogans?|headlines?|captions?|dialogues?|translations?|equivalents?|"
    r"synonyms?|examples? of|lists? of|functions?|programs?|snippets?|code)"
)
_TASK = re.compile(
    r"\s*(?:[QA]:\s*)?(?:(?:please|kindly|can you|could you|now)\s+)*(?:"
    r"(?:explain|describe|discuss|summari[sz]e|translate|paraphrase|brainstorm|break down|walk me through|tell (?:me|us)|"
    r"(?:give|show|write|draft|make|find|list|recommend|suggest) (?:me|us))\b|"
    r"(?:write|compose|draft|develop|create|generate|provide|give|prepare|produce|design|show|craft|make|invent)\s+"
    rf"(?:(?:an?|the|some)\s+)?(?:[\w-]+\s+){{0,3}}?{_PRODUCTS}\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Sign:
    kind: str
    weight: float
    pattern: re.Pattern[str]


@cache
def _signs() -> tuple[_Sign, ...]:
    return tuple(
        _Sign(kind, weight, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for kind, weight, pattern, _ in _SIGNS
    )


@cache
def _needed() -> dict[str, list[int]]:
    """The letters of which some must be there, each with the places of its signs."""
    found: dict[str, list[int]] = {}
    for place, (_, _, _, needs) in enumerate(_SIGNS):
        for need in needs.split("|"):
            found.setdefault(need, []).append(place)
    return found


def asks(sentence: str) -> bool:
    """Whether a sentence asks for something: a question, or a task such as `Write a poem about the sea.`"""
    bare = sentence.strip().rstrip("\"'”’)")
    return bare.endswith(("?", "？", "؟")) or bool(_TASK.match(bare))


def suspicions(text: str) -> list[Suspicion]:
    """The sentences that look like instructions to a model, in their order; neighbours become one stretch.

    Takes time in proportion to the length of the text: less than a second for a million characters.
    """
    spans = list(sentences(text))
    found = [
        Suspicion(*spans[number], *judged)
        for number, places in sorted(_candidates(text, spans).items())
        if (judged := _judged(text[slice(*spans[number])], places))[1] >= ENOUGH
    ]
    known = {one.start for one in found}
    found += _broken(text, [span for span in spans if span[0] not in known])
    joined: list[Suspicion] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        before = joined[-1] if joined else None
        if before and not text[before.end : one.start].strip():
            strongest = max(before, one, key=lambda one: one.score)
            joined[-1] = Suspicion(before.start, max(before.end, one.end), strongest.kind, strongest.score)
        else:
            joined.append(one)
    return joined[:MOST_SPANS]


def _candidates(text: str, spans: Sequence[tuple[int, int]]) -> dict[int, set[int]]:
    """The sentences that may hold a sign, by number, each with the places of those signs.

    All letters that signs need are looked for in the whole text, since most sentences have none of them.
    """
    small = text.replace("İ", "i").replace("\n", " ").lower()  # İ alone becomes two signs in small letters
    starts = [start for start, _ in spans]
    found: dict[int, set[int]] = {}
    for need, places in _needed().items():
        hit = small.find(need)
        while hit >= 0:
            number = bisect_right(starts, hit) - 1
            for near in (number - 1, number):  # pieces of a long sentence overlap
                if near >= 0 and spans[near][1] > hit:
                    found.setdefault(near, set()).update(places)
            # Once is enough for a sentence: a million brackets take no longer than one in each.
            hit = small.find(need, starts[number + 1]) if number + 1 < len(starts) else -1
    return found


def _broken(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[Suspicion]:
    """What looks like an instruction only when lines that are judged innocent one by one are read together."""
    for run in _runs(text, spans):
        first = 0
        while first < len(run) - 1:
            last = first
            while last + 1 < len(run) and run[last + 1][1] - run[first][0] <= LONGEST:
                last += 1
            if last > first and (found := _across(text, run[first : last + 1])):
                yield found
            if last == len(run) - 1:
                break
            again = next(n for n in range(first + 1, last + 2) if run[n][0] >= run[last][1] - OVERLAP or n > last)
            first = again


def _runs(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Neighbouring lines of which only the last is ended by a full stop."""
    run: list[tuple[int, int]] = []
    for start, end in spans:
        if run and (CLOSED.search(text[run[-1][0] : run[-1][1]][-3:]) or not _follows(text, run[-1][1], start)):
            yield run
            run = []
        run.append((start, end))
    yield run


def _follows(text: str, end: int, start: int) -> bool:
    """Whether nothing stands between two lines but the break, or one empty line."""
    return start - end <= FAR and not text[end:start].strip() and text.count("\n", end, start) <= 2


def _across(text: str, lines: Sequence[tuple[int, int]]) -> Suspicion | None:
    """The lines of an instruction that goes on from one into the next, up to its full stop."""
    begins = [0, *accumulate(end - start + 1 for start, end in lines)]  # where each line begins when they are joined
    matches = _matches(" ".join(text[start:end].replace("\n", " ") for start, end in lines))
    score = round(sum(sign.weight for sign, _ in matches), 2)
    if score < ENOUGH or not any(low < begin < high for _, (low, high) in matches for begin in begins[1:-1]):
        return None
    first = bisect_right(begins, min(low for _, (low, _) in matches)) - 1
    last = bisect_right(begins, max(high for _, (_, high) in matches) - 1) - 1
    while last < len(lines) - 1 and not CLOSED.search(text[lines[last][0] : lines[last][1]][-3:]):
        last += 1
    kind = max(matches, key=lambda found: found[0].weight)[0].kind
    return Suspicion(lines[first][0], lines[last][1], kind, score)


def without(text: str, spans: Sequence[Suspicion], mark: str = "…") -> str:
    """The text with these stretches taken out, each leaving a mark."""
    parts, position = [], 0
    for span in spans:
        parts += [text[position : span.start], mark]
        position = span.end
    return "".join([*parts, text[position:]])


def _judged(sentence: str, places: Iterable[int]) -> tuple[str, float]:
    """The kind of the strongest sign, of those in `places`, and the sum of all signs' weights."""
    forms = dict.fromkeys((sentence.replace("\n", " "), sentence))  # most are one and the same
    tried = [_signs()[place] for place in sorted(places)]
    signs = [sign for sign in tried if any(sign.pattern.search(form) for form in forms)]
    strongest = max(signs, key=lambda sign: sign.weight, default=None)
    return strongest.kind if strongest else "", round(sum(sign.weight for sign in signs), 2)


def _matches(line: str) -> list[tuple[_Sign, tuple[int, int]]]:
    """The signs in a text, each with its first place."""
    small, needed, signs = line.lower(), _needed(), _signs()
    tried = {place for need in [need for need in needed if need in small] for place in needed[need]}
    return [(signs[place], found.span()) for place in sorted(tried) if (found := signs[place].pattern.search(line))]


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of sentences; a line goes on in the next one where only the width of a page broke it."""
    start = 0
    for found in ENDS.finditer(text):
        end = found.end()
        if found[0] == "\n":
            line = found.start() - (text.rfind("\n", 0, found.start()) + 1)
            if line >= SHORT_LINE and not NEW_LINE.match(text, end):
                continue
        yield from _pieces(text, start, end)
        start = end
    yield from _pieces(text, start, len(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, start + LONGEST)
        piece = text[start:stop]
        if bare := piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            yield first, first + len(bare)
        start = stop if stop == end else stop - OVERLAP  # nothing is hidden by where a piece is cut
