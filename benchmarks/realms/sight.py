"""From a camera frame to the event that says what was seen, beside the model called by itself.

The realm's perception is a process of its own, as it always is; the model alone is called here, by
turns with it and on the same JPEG, so that both have the same conditions.
"""

from __future__ import annotations

import array
import functools
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage
from skimage import data

from benchmarks.realms.house import street
from mtor_swarm.config import PerceptionConfig, RealmConfig
from mtor_swarm.models.pictures import decoded
from mtor_swarm.models.store import Store
from mtor_swarm.models.ultralytics_detector import UltralyticsDetector
from mtor_swarm.realm.bus import SENSOR_QOS, RealmBus

WARM = 5
REST_S = 0.03
"""Between two turns, until perception has drawn and sent what it saw."""


def measure(count: int) -> dict[str, float]:
    """Median seconds: `realm`, from the frame's publication to the event, and `model` alone."""
    cat = cv2.resize(np.ascontiguousarray(data.chelsea()[:, :, ::-1]), (320, 240))
    raw = cv2.imencode(".jpg", cat)[1].tobytes()
    realm: list[float] = []
    model: list[float] = []
    with street() as here:
        settings = PerceptionConfig(max_rate_hz=1000.0)
        config = RealmConfig(
            unit="bench", state_dir=str(here.folder / "state"), perception=settings
        )
        house = here.build(config, models=True)
        seen: list[float] = []
        RealmBus(house.node).subscribe(
            ("mtor.detection.seen",), lambda _: seen.append(time.monotonic())
        )
        camera = house.node.create_publisher(
            CompressedImage, "camera/image/compressed", SENSOR_QOS
        )
        alone = UltralyticsDetector(
            Path(Store().path(settings.model)), confidence=settings.confidence
        )
        here.until(lambda: house.state("perception") in ("active", "degraded"))
        here.until(camera.get_subscription_count)
        while len(realm) < WARM + count:
            seen.clear()
            begun_s = time.monotonic()
            camera.publish(CompressedImage(format="jpeg", data=array.array("B", raw)))
            lost_s = begun_s + 1.0  # as frames of sensors may be
            here.until(functools.partial(_seen, seen, lost_s))
            realm += [each - begun_s for each in seen[:1]]
            here.turn(REST_S)
            begun_s = time.monotonic()
            picture = decoded(raw)
            assert picture is not None
            alone.detect(picture)
            model.append(time.monotonic() - begun_s)
        alone.close()
    return {"realm": statistics.median(realm[WARM:]), "model": statistics.median(model[WARM:])}


def _seen(seen: list[float], lost_s: float) -> bool:
    return bool(seen) or time.monotonic() > lost_s
