"""Pure: the part of metric math that alarms and GetMetricData use here.

Grammar: numbers, ids of other queries, + - * / ^, comparisons, AND OR, parentheses, and the functions IF, FILL, ABS, CEIL, FLOOR,
MIN, MAX, SUM, AVG, METRICS. A series maps a period's start (epoch seconds) to its value; arithmetic on two series needs both to have
the point. Division by zero gives no point, as CloudWatch documents, nor does anything else that is no finite number.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence

Series = dict[int, float]
Value = Series | float | list[Series]

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?)|([A-Za-z][A-Za-z0-9_]*)|(==|!=|<=|>=|&&|\|\||[-+*/^(),<>\[\]]))")
_COMPARE: dict[str, Callable[[float, float], float]] = {
    "==": lambda a, b: float(a == b), "!=": lambda a, b: float(a != b), "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b), "<=": lambda a, b: float(a <= b), ">=": lambda a, b: float(a >= b),
}  # fmt: skip


class ExpressionError(ValueError):
    """An expression that is not understood; the message says where."""


def names(expression: str) -> set[str]:
    """The ids that an expression refers to: they start with a small letter, functions with a capital."""
    return {t for t in _tokens(expression) if t[0].islower() and t not in ("repeat", "linear")}


def compute(expression: str, series: Mapping[str, Series], times: Sequence[int]) -> Series:
    """The expression's series over the given period starts."""
    try:
        value = _Parser(_tokens(expression), series, times).parse()
    except RecursionError:
        raise ExpressionError("it is nested too deep") from None
    if isinstance(value, list):
        raise ExpressionError(f"'{expression}' gives several time series where one is needed")
    if isinstance(value, float):
        return dict.fromkeys(times, value)
    return value


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise ExpressionError(f"Error in expression '{text}': unexpected '{text[place:].strip()[:1]}' at {place}")
        found.append(match.group(match.lastindex or 0))
        place = match.end()
    return found


def _zip(left: Value, right: Value, function: Callable[[float, float], float]) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        raise ExpressionError("METRICS() can only be an argument of SUM, AVG, MIN and MAX")
    if isinstance(left, float) and isinstance(right, float):
        result = _point(function, left, right)
        return {} if result is None else result
    if isinstance(left, float):
        keys = set() if isinstance(right, float) else set(right)
    else:
        keys = set(left) if isinstance(right, float) else left.keys() & right.keys()
    out: Series = {}
    for key in keys:
        value = _point(function, left if isinstance(left, float) else left[key], right if isinstance(right, float) else right[key])
        if value is not None:
            out[key] = value
    return out


def _point(function: Callable[[float, float], float], a: float, b: float) -> float | None:
    """What an operator gives, where that is a number: 1 / 0, 10 ^ 1000 and -1 ^ 0.5 are none."""
    try:
        value = function(a, b)
    except ArithmeticError:
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


class _Parser:
    def __init__(self, tokens: list[str], series: Mapping[str, Series], times: Sequence[int]) -> None:
        self._tokens, self._place = tokens, 0
        self._series, self._times = series, times

    def parse(self) -> Value:
        value = self._or()
        if self._place < len(self._tokens):
            raise ExpressionError(f"unexpected '{self._tokens[self._place]}'")
        return value

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self._peek()
        if token in wanted:
            self._place += 1
            return token
        return ""

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ExpressionError(f"expected '{token}', found '{self._peek() or 'the end'}'")

    def _or(self) -> Value:
        value = self._and()
        while self._take("OR", "||"):
            value = _zip(value, self._and(), lambda a, b: float(bool(a) or bool(b)))
        return value

    def _and(self) -> Value:
        value = self._comparison()
        while self._take("AND", "&&"):
            value = _zip(value, self._comparison(), lambda a, b: float(bool(a) and bool(b)))
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        sign = self._take(*_COMPARE)
        return _zip(value, self._sum(), _COMPARE[sign]) if sign else value

    def _sum(self) -> Value:
        value = self._product()
        while sign := self._take("+", "-"):
            value = _zip(value, self._product(), operator.add if sign == "+" else operator.sub)
        return value

    def _product(self) -> Value:
        value = self._power()
        while sign := self._take("*", "/"):
            value = _zip(value, self._power(), operator.mul if sign == "*" else operator.truediv)
        return value

    def _power(self) -> Value:
        value = self._unary()
        return _zip(value, self._power(), operator.pow) if self._take("^") else value

    def _unary(self) -> Value:
        if self._take("-"):
            return _zip(0.0, self._unary(), operator.sub)
        if self._take("("):
            value = self._or()
            self._expect(")")
            return value
        token = self._peek()
        if not token or not (token[0].isalnum()):
            raise ExpressionError(f"unexpected '{token or 'end'}'")
        self._place += 1
        if token[0].isdigit():
            return float(token)
        if self._take("("):
            return self._call(token)
        if token not in self._series:
            raise ExpressionError(f"Undefined variable '{token}'")
        return self._series[token]

    def _call(self, name: str) -> Value:
        if name == "FILL":
            return self._fill()
        if name == "METRICS":
            self._expect(")")
            return list(self._series.values())
        arguments: list[Value] = []
        while not self._take(")"):
            if self._take("["):
                group = [self._one(self._or())]
                while self._take(","):
                    group.append(self._one(self._or()))
                self._expect("]")
                arguments.append(group)
            else:
                arguments.append(self._or())
            if self._peek() != ")":
                self._expect(",")
        return _apply(name, arguments, self._times)

    def _one(self, value: Value) -> Series:
        if isinstance(value, list):
            raise ExpressionError("an array can't hold an array")
        return dict.fromkeys(self._times, value) if isinstance(value, float) else value

    def _fill(self) -> Value:
        source = self._or()
        self._expect(",")
        if self._take("REPEAT", "repeat"):
            self._expect(")")
            return {k: v for s in _each(source) for k, v in _repeat(s, self._times).items()}
        value = self._or()
        self._expect(")")
        if isinstance(value, list) or isinstance(source, float):
            raise ExpressionError("FILL takes a time series and a value")
        fill = dict.fromkeys(self._times, value) if isinstance(value, float) else value
        filled = [{t: s.get(t, fill.get(t, math.nan)) for t in self._times if t in s or t in fill} for s in _each(source)]
        return filled if isinstance(source, list) else filled[0]


def _each(value: Value) -> list[Series]:
    if isinstance(value, float):
        raise ExpressionError("a time series is needed, not a number")
    return value if isinstance(value, list) else [value]


def _repeat(series: Series, times: Sequence[int]) -> Series:
    out: Series = {}
    last: float | None = None
    for moment in sorted(times):
        last = series.get(moment, last)
        if last is not None:
            out[moment] = last
    return out


def _apply(name: str, arguments: list[Value], times: Sequence[int]) -> Value:
    if name == "IF" and len(arguments) in (2, 3):
        return _if(arguments, times)
    folds: dict[str, Callable[[Sequence[float]], float]] = {"SUM": sum, "MIN": min, "MAX": max, "AVG": lambda v: sum(v) / len(v)}
    if name in folds and len(arguments) == 1:
        fold, argument = folds[name], arguments[0]
        if isinstance(argument, float):
            return argument
        if isinstance(argument, list):
            moments = sorted({m for s in argument for m in s})
            return {m: float(fold([s[m] for s in argument if m in s])) for m in moments}
        return float(fold(list(argument.values()))) if argument else {}
    singles: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
    if name in singles and len(arguments) == 1:
        single = singles[name]
        return _zip(arguments[0], 0.0, lambda a, _: float(single(a)))
    raise ExpressionError(f"the function {name} with {len(arguments)} argument(s) is not part of the embedded cloud")


def _if(arguments: list[Value], times: Sequence[int]) -> Value:
    condition, yes = arguments[0], arguments[1]
    no: Value = arguments[2] if len(arguments) == 3 else {}
    if isinstance(condition, list) or isinstance(yes, list) or isinstance(no, list):
        raise ExpressionError("IF takes no array")
    out: Series = {}
    for moment in times:
        test = condition if isinstance(condition, float) else condition.get(moment)
        if test is None:
            continue
        chosen = yes if test else no
        value = chosen if isinstance(chosen, float) else chosen.get(moment)
        if value is not None:
            out[moment] = value
    return out
