"""Parameters of workers: declared, checked, changed while they run."""

from __future__ import annotations

import msgspec
import pytest
import rclpy
from rcl_interfaces.srv import DescribeParameters, SetParameters

from mtor_swarm.config import WorkerConfig
from mtor_swarm.errors import AskError, ConfigError
from mtor_swarm.realm.parameters import Setting, check
from mtor_swarm.realm.worker import Worker
from tests.ros.realm_stage import CONFIG, Stage

SETTINGS = (
    Setting("share", 0.1, "of the picture that is smoke", least=0, most=1, live=True),
    Setting("frames", 3, "in a row before it rings", least=1),
    Setting("camera", "front", "which one it looks through", choices=("front", "rear")),
    Setting("labels", ["smoke"], "what it looks for"),
    Setting("loud", False, "whether it speaks as well"),
)


class Alarm(Worker):
    """Notes what it is set to."""

    parameters = SETTINGS

    def __init__(self, **given) -> None:
        workers = {"alarm": WorkerConfig(kind="alarm", parameters=given)}
        super().__init__(name="alarm", config=msgspec.structs.replace(CONFIG, workers=workers))
        self.set_to: list[tuple[str, object]] = []

    def on_parameter(self, name, value) -> None:
        if value == 0.5:
            raise AskError("half is neither much nor little")
        if value == 0.6:
            raise ZeroDivisionError("by a defect")
        self.set_to.append((name, value))


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 1.5}, "share: 1.5 is no number from 0 to 1"),
        ({"share": float("nan")}, "share: nan is no number from 0 to 1"),
        ({"share": "much"}, "share: Expected `float`, got `str`"),
        ({"frames": 0}, "frames: 0 is no number from 1 to inf"),
        ({"frames": True}, "frames: Expected `int`, got `bool`"),
        ({"camera": "left"}, "camera: 'left' is none of front, rear"),
        ({"labels": [1]}, "labels: Expected `str`, got `int`"),
        ({"colour": "grey"}, "alarm has no parameter colour; it has camera, frames, labels, loud"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(given, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        check(SETTINGS, given, "alarm")


def test_a_whole_number_will_do_where_a_number_is_wanted():
    found = check(SETTINGS, {"share": 1}, "alarm")
    assert found["share"] == 1.0
    assert isinstance(found["share"], float)
    assert found["labels"] == ["smoke"]


def test_a_worker_has_what_its_config_gives_and_else_the_defaults(stage):
    worker = stage.add(Alarm(share=0.3, labels=["fire", "smoke"]))
    assert [worker.value(each.name) for each in SETTINGS] == [
        0.3, 3, "front", ["fire", "smoke"], False,
    ]  # fmt: skip


def test_a_mistake_in_the_config_fails_the_load_and_says_why(stage):
    worker = stage.add(Alarm(share=7))
    heard = []
    worker._tell = lambda *words: heard.append(words)
    worker.trigger_configure()
    assert heard == [
        ("failed", "unconfigured", "load: alarm: parameter share: 7.0 is no number from 0 to 1")
    ]


class Person:
    """Somebody at a terminal with `ros2 param`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.node = stage.add(rclpy.create_node("person", namespace="/r1"))

    def call(self, kind, name, request):
        client = self.node.create_client(kind, f"alarm/{name}")
        self.stage.until(client.service_is_ready)
        future = client.call_async(request)
        self.stage.until(future.done)
        return future.result()

    def set(self, **values) -> str:
        parameters = [rclpy.Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        answer = self.call(SetParameters, "set_parameters", SetParameters.Request(
            parameters=parameters))  # fmt: skip
        return "; ".join("" if each.successful else each.reason for each in answer.results)


def test_a_live_one_changes_while_the_worker_runs_and_the_worker_is_told(stage):
    worker = stage.add(Alarm())
    worker.trigger_configure()
    person = Person(stage)
    assert person.set(share=0.4) == ""
    assert (worker.value("share"), worker.set_to) == (0.4, [("share", 0.4)])


def test_what_is_wrong_or_not_live_or_refused_by_the_worker_does_not_change(stage):
    worker = stage.add(Alarm())
    worker.trigger_configure()
    person = Person(stage)
    assert "out of range" in person.set(share=7.0)
    assert person.set(camera="left") == "camera: 'left' is none of front, rear"
    assert person.set(frames=5).startswith("frames is read at load only: unload the worker first")
    assert person.set(share=0.5) == "half is neither much nor little"
    assert person.set(share=0.6) == "ZeroDivisionError: by a defect"
    assert [worker.value(each.name) for each in SETTINGS] == [e.default for e in SETTINGS]
    worker.trigger_cleanup()
    assert person.set(frames=5) == ""


def test_people_see_what_each_is_for_and_its_range(stage):
    stage.add(Alarm())
    answer = Person(stage).call(
        DescribeParameters,
        "describe_parameters",
        DescribeParameters.Request(names=["share", "frames", "camera"]),
    )
    share, frames, camera = answer.descriptors
    assert share.description == "of the picture that is smoke"
    assert (share.floating_point_range[0].from_value, share.floating_point_range[0].to_value) == (
        0.0,
        1.0,
    )
    assert frames.integer_range[0].from_value == 1
    assert camera.additional_constraints == "one of front, rear"


def test_a_worker_without_parameters_offers_no_services_for_them(stage):
    node = stage.add(Worker(name="plain", config=CONFIG))
    assert not [name for name, _ in node.get_service_names_and_types_by_node("plain", "/r1")
                if "parameter" in name]  # fmt: skip


def test_a_worker_that_declares_nothing_answers_nothing(stage):
    worker = stage.add(Worker(name="plain", config=CONFIG))
    with pytest.raises(AskError, match="plain answers nothing"):
        worker.answer(None, None)
