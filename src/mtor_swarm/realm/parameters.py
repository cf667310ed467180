"""A worker's parameters: what there is to set, checked, and declared as ROS parameters.

What the config gives under `workers.NAME.parameters` and what `ros2 param set` wants meet the
same check: unknown names, wrong types and values out of range are refused with what would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from mtor_swarm.errors import ConfigError, explain

Value = bool | int | float | str | list[str]
INT64 = 2**63 - 1
"""What a ROS integer holds."""


class Setting(msgspec.Struct, frozen=True):
    """One parameter: `Setting("share", 0.1, "of the picture that is smoke", least=0, most=1)`.

    Its type is that of `default`. `least` and `most` bound a number, `choices` a text. `live`: it
    may change while the worker is loaded (`Worker.on_parameter` is told); else only before.
    """

    name: str
    default: Value
    description: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def check(self, value: Any) -> Value:
        """The value as this parameter's type; ConfigError says what it should have been."""
        kind: Any = list[str] if isinstance(self.default, list) else type(self.default)
        try:
            found: Any = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{self.name}: {error}") from None
        low = self.least is not None and found < self.least
        high = self.most is not None and found > self.most
        if low or high or (kind is float and not math.isfinite(found)):
            raise ConfigError(f"{self.name}: {found} is no number from {self._range()}")
        if self.choices and found not in self.choices:
            raise ConfigError(f"{self.name}: {found!r:.80} is none of {', '.join(self.choices)}")
        checked: Value = found
        return checked

    def _range(self) -> str:
        low = "-inf" if self.least is None else f"{self.least:g}"
        return f"{low} to {'inf' if self.most is None else f'{self.most:g}'}"


def check(settings: Sequence[Setting], given: Mapping[str, Any], who: str) -> dict[str, Value]:
    """Every parameter's value, the given ones checked; ConfigError names `who` and the culprit."""
    known = {each.name: each for each in settings}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{who} has no parameter {name}; it has {', '.join(sorted(known)) or 'none'}"
            )
    try:
        return {name: each.check(given.get(name, each.default)) for name, each in known.items()}
    except ConfigError as error:
        raise ConfigError(f"{who}: parameter {error}") from None


class Parameters:
    """A node's declared parameters: what the config gives, and what may change while it runs.

    `freeze` begins and `thaw` ends the time in which only the live ones change.
    """

    def __init__(
        self,
        node: Node,
        settings: Sequence[Setting],
        given: Mapping[str, Any],
        on_change: Callable[[str, Value], None],
    ) -> None:
        """`on_change(name, value)` is told before one changes, and may raise to refuse."""
        self._known = {each.name: each for each in settings}
        self._on_change = on_change
        self._frozen = False
        self._error: ConfigError | None = None
        who = node.get_name()
        try:
            values = check(settings, given, who)
        except ConfigError as error:  # the load tells: a node that is not there cannot
            values, self._error = check(settings, {}, who), error
        for each in settings:
            node.declare_parameter(each.name, values[each.name], descriptor=_descriptor(each))
        if settings:
            node.add_on_set_parameters_callback(self._on_set)

    def freeze(self) -> None:
        """The worker loads; ConfigError if what the config gave is wrong."""
        if self._error is not None:
            raise self._error
        self._frozen = True

    def thaw(self) -> None:
        """The worker has unloaded."""
        self._frozen = False

    def _on_set(self, wanted: Sequence[Parameter]) -> SetParametersResult:
        """ROS wants these changed: all of them or none."""
        own = [each for each in wanted if each.name in self._known]
        try:
            for each in own:
                self._known[each.name].check(each.value)
                if self._frozen and not self._known[each.name].live:
                    raise ConfigError(f"{each.name} is read at load only: unload the worker first")
            for each in own:
                self._on_change(each.name, each.value)
        except Exception as error:  # whatever a worker's own check raises must not end the process
            return SetParametersResult(successful=False, reason=explain(error))
        return SetParametersResult(successful=True)


def _descriptor(setting: Setting) -> ParameterDescriptor:
    found = ParameterDescriptor(
        name=setting.name,
        description=setting.description,
        additional_constraints=f"one of {', '.join(setting.choices)}" if setting.choices else "",
    )
    least, most = setting.least, setting.most
    if (least, most) == (None, None):
        return found
    if isinstance(setting.default, int):
        low = -INT64 if least is None else int(least)
        high = INT64 if most is None else int(most)
        found.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    else:
        low_f = -float("inf") if least is None else float(least)
        high_f = float("inf") if most is None else float(most)
        found.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]
    return found
