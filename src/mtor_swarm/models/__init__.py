"""The model behind each capability, one file per library; the store fetches and verifies weights.

Importing this package tells the libraries below it to keep to themselves: no telemetry (which
onnxruntime begins with its import), no questions to hubs, nothing installed behind the
user's back. It must come before any of them.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # who sets 0 lets transformers ask the hub
os.environ.update(
    HF_HUB_DISABLE_TELEMETRY="1",
    OPENCV_IO_MAX_IMAGE_PIXELS=str(1 << 25),  # a few bytes may claim to be gigabytes of picture
    ORT_DISABLE_TELEMETRY="1",
    YOLO_AUTOINSTALL="false",
    YOLO_OFFLINE="true",
    YOLO_VERBOSE="false",
)
