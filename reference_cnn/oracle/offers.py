"""What a target offers, as its answers tell [ORC-D3]."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from reference_cnn.oracle import numbers
from reference_cnn.oracle.call import Effort, Offered, keyword_of, numpy_draw
from reference_cnn.oracle.cases import Case, Tier
from reference_cnn.oracle.shapes import drawn_call, more_calls
from reference_cnn.oracle.targets import keywords_missing, keywords_of
from reference_cnn.oracle.workers import AskAll, Found

PLAIN: tuple[Tier, ...] = ("exact", "rounding")
REFUSED = ("refused", "not implemented")
# Before a feature counts as refused, it is asked for in so many more calls, if as many that are drawn have it.
DOUBTFUL, DRAWN = 16, 64
# A pair of features is said to be refused if calls with it are, and would be by accident no more often than that.
CHANCE = 1e-5
# What others call the same.
ALIASES = {
    "padding": ("pad", "pads"),
    "stride": ("strides", "step"),
    "dilation": ("dilations", "dilation_rate", "rate"),
    "groups": ("group", "num_groups", "feature_group_count"),
    "include_padding": ("count_include_pad",),
}


@dataclass
class Inquiry:
    """Questions to one function, what came back, and what it so does not offer."""

    function: Callable[..., Any]
    ask_each: AskAll
    lacking: set[str]
    questions: list[Case] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    _known: set[Case] = field(default_factory=set)

    def ask(self, questions: list[Case]) -> None:
        """Ask more, nothing twice; leave out what was not asked, since the target has died too often [PROTO-C3]."""
        questions = [q for q in dict.fromkeys(questions) if q not in self._known]
        self._known.update(questions)
        self.questions += questions
        self.found += [f for f in self.ask_each(self.function, questions) if f.answer.outcome != "not asked"]
        self.refused = refused(self.found)

    def offered(self, feature: str) -> bool:
        """Whether it seems to offer a feature."""
        return feature not in self.refused and keyword_of(feature) not in self.lacking

    @property
    def not_offered(self) -> list[str]:
        """What it does not offer, in words."""
        return [*sorted(self.lacking | self.refused), *_combinations(self.found, self.refused)]

    @property
    def notes(self) -> list[str]:
        """Keywords that are refused whatever they say, and names that are not asked about, beside those that are."""
        own = keywords_of(self.function) or []
        alike = {k: [name for name in ALIASES.get(k, ()) if name in own] for k in sorted(self.lacking)}
        raised = {
            feature: f.answer.error
            for f in self.found[::-1]
            if f.answer.outcome == "refused"
            for feature in f.case.call.features & self.refused & f.case.keywords.keys()
        }
        return [
            *(f"every call in which {k} does something is refused: {error}" for k, error in sorted(raised.items())),
            *(f"it has {', '.join(names)}, but only {k} is asked about" for k, names in alike.items() if names),
        ]


def inquire(function: Callable[..., Any], cases: list[Case], effort: Effort | None, ask_each: AskAll) -> Inquiry:
    """Ask the cases, see what is offered, and ask more of that if there is an effort to make."""
    lacking = keywords_missing(function, {k for c in cases for k in c.keywords})
    asked = Inquiry(function, ask_each, lacking)
    asked.ask([c for c in cases if not lacking & set(c.keywords)])
    if "no b" in asked.refused:
        # A target that insists on a bias refuses each feature for want of one: ask again, with one.
        without = [f.case for f in asked.found if "no b" in f.case.call.features]
        asked.ask([replace(case, call=case.call.with_bias()) for case in without])
    if effort:
        asked.ask(_doubtful(cases[0], asked))
        asked.ask(more(cases[0], asked.offered, effort))
    return asked


def refused(found: list[Found]) -> set[str]:
    """Features with which every call that tells is refused, while calls without them are answered."""
    features: set[str] = set()
    calls = [(f.case.call, f.case.call.features, f.answer.outcome) for f in found]
    for feature in {feature for _, some, outcome in calls if outcome in REFUSED for feature in some}:
        having = [(call, outcome) for call, some, outcome in calls if feature in some]
        # Who refuses groups may accept one, and who wants equal strides may accept them for each axis.
        telling = [outcome for call, outcome in having if call.tells(feature)] or [outcome for _, outcome in having]
        others = [outcome == "answered" for _, some, outcome in calls if feature not in some]
        if all(outcome in REFUSED for outcome in telling) and any(others):
            features.add(feature)
    return features


def of_offered(found: list[Found]) -> list[Found]:
    """Answers to calls that the target offers."""
    without = refused(found)
    return [f for f in found if f.answer.outcome != "not implemented" and not without & f.case.call.features]


def more(case: Case, offered: Offered, effort: Effort, batch: int = 1) -> list[Case]:
    """Cases drawn from what the target offers, so that every pair of features that it has is asked about."""
    calls = more_calls(case.function, numpy_draw(case.seed, case.rank, batch), case.rank, offered, effort)
    questions = [replace(case, call=call, tier=tier) for call in calls for tier in PLAIN]
    return [question for question in questions if question.tier != "exact" or numbers.exact(question)]


def _doubtful(case: Case, asked: Inquiry) -> list[Case]:
    """Cases with one of the features that seem to be refused, and none of the others, which may be why."""
    draw, found, seeming = numpy_draw(case.seed, case.rank, 4), [], asked.refused
    for feature in sorted(seeming):
        others = seeming - {feature}

        def offered(other: str, others: set[str] = others) -> bool:
            return other not in others and keyword_of(other) not in asked.lacking

        drawn = [drawn_call(case.function, draw, case.rank, offered) for _ in range(DRAWN)]
        found += [call for call in drawn if feature in call.features and all(map(offered, call.features))][:DOUBTFUL]
    return [replace(case, call=call, tier="rounding") for call in dict.fromkeys(found)]


def _combinations(found: list[Found], without: set[str]) -> list[str]:
    """What the calls that are "not implemented" for no single feature have in common, as the target says it."""
    # A call that was asked with several kinds of numbers is refused as often, and says no more.
    asked = {f.case.call._replace(special=None, scale=1.0): f.answer.outcome for f in found}
    calls = [(call.features, outcome) for call, outcome in asked.items() if not without & call.features]
    left = [features for features, outcome in calls if outcome == "not implemented"]
    counts = Counter(pair for features in left for pair in combinations(sorted(features), 2))
    pairs = [pair for pair, count in counts.items() if _is_why(pair, count, calls)]
    unexplained = [features for features in left if not any(set(p) <= features for p in pairs)]
    return [" with ".join(p) for p in sorted(pairs)] + [f"{len(unexplained)} other calls"] * bool(unexplained)


def _is_why(pair: tuple[str, str], count: int, calls: Sequence[tuple[frozenset[str], str]]) -> bool:
    """Whether a pair of features is no accident, which so many calls with it, none answered, might be.

    A target that takes one image alone, say, refuses most calls with any pair.
    """
    having = [(len(features & set(pair)), outcome == "answered") for features, outcome in calls]
    together, alone = ([answered for number, answered in having if number == n] for n in (2, 1))
    refused_alone = alone.count(False) / len(alone) if alone else 0
    return not any(together) and refused_alone**count < CHANCE
