"""The package, for pip and for colcon (ament_python) alike. Exact versions: constraints.txt."""

import os
import sys
from glob import glob

from setuptools import find_packages, setup

NAME = "mtor_swarm"
EXECUTABLES = {
    "mtor": "mtor_swarm.cli.main:main",
    "mtor_core": "mtor_swarm.cli.core:main",
    "mtor_models": "mtor_swarm.cli.models_process:main",
    "mtor_worker": "mtor_swarm.cli.worker_process:main",
    "mtor_sim": "mtor_swarm.cli.engine:main",
    "mtor_gateway": "mtor_swarm.cli.gateway:main",
}
# Kinds of workers that a config may name; other packages add theirs in the same way.
WORKERS = {
    "embed": "mtor_swarm.workers.embed:EmbedWorker",
    "transformers": "mtor_swarm.workers.pipeline:PipelineWorker",
    "openai": "mtor_swarm.workers.chat:OpenAIWorker",
    "anthropic": "mtor_swarm.workers.chat:AnthropicWorker",
    "rules": "mtor_swarm.workers.rules:RulesWorker",
}

# rclpy for machines without a ROS 2 distribution: x86-64 Linux only. Elsewhere it is the
# distribution's, and this extra is left out.
WHEELS = 'platform_machine == "x86_64" and sys_platform == "linux"'
ROS = [
    f"{name}; {WHEELS}"
    for name in (
        "ros-rclpy==9.1.2",
        "ros-rmw-fastrtps-cpp==9.3.3",
        "ros-std-msgs==5.5.1",
        "ros-std-srvs==5.5.1",
        "ros-sensor-msgs==5.5.1",
        "ros-geometry-msgs==5.5.1",
        "ros-nav-msgs==5.5.1",
        "ros-diagnostic-msgs==5.5.1",
        "ros-visualization-msgs==5.5.1",
        "ros-lifecycle-msgs==2.3.0",
        "ros-rosgraph-msgs==2.3.0",
        "ros-action-msgs==2.3.0",
    )
]
OPENCV = "opencv-python-headless>=4.9"
AI = [
    # These two belong together. Whether they come for the CPU (`2.13.0+cpu` fits too) or with
    # gigabytes of CUDA libraries is the index's choice: CONTRIBUTING.md, Set-up.
    "torch==2.13.0",
    "torchvision==0.28.0",
    "ultralytics-opencv-headless>=8.3",
    "onnx>=1.17",
    "onnxruntime>=1.20",
    OPENCV,
    "scikit-image>=0.25",
    "pillow>=11",
    "faster-whisper>=1.1",
    "transformers>=4.50",
    "httpx>=0.28",
]
SIM = ["mujoco>=3.3,<5", "pillow>=11", "scikit-image>=0.25", OPENCV]
VIEWER = ["fastapi>=0.115", "uvicorn>=0.34", "websockets>=14"]
# Peers that `python -m benchmarks gossip` measures beside us; nothing else needs them.
BENCH = ["eclipse-zenoh>=1.10", "kinship>=0.4", "msgpack>=1.1"]
DEV = [
    "colcon-common-extensions>=0.3",
    "coverage>=7.6",
    "httpx>=0.28",
    "hypothesis>=6.120",
    "import-linter>=2.1",
    "matplotlib>=3.9",
    "mypy>=1.15",
    "playwright>=1.50",
    "pytest>=8.3",
    "pytest-cov>=6",
    "pytest-timeout>=2.3",
    f"ros-test-msgs==2.3.0; {WHEELS}",
    "ruff>=0.9",
    "scipy>=1.15",
    "setuptools>=70,<80",  # colcon's installs need setup.py's own commands
    "types-PyYAML>=6",
    "wheel>=0.43",
]


def data_files():
    """What goes beside the code: `share/mtor_swarm`, and `lib/mtor_swarm` for `ros2 run`."""
    share = f"share/{NAME}"
    found = {
        "share/ament_index/resource_index/packages": [f"resource/{NAME}"],
        share: ["package.xml"],
    }
    for top in ("config", "launch", "sim"):
        for folder, _, names in os.walk(top):
            if names and "__pycache__" not in folder:
                found[f"{share}/{folder}"] = [os.path.join(folder, each) for each in names]
    if not _installs_executables(sys.argv):
        found[f"lib/{NAME}"] = glob("scripts/*")
    return sorted((folder, sorted(files)) for folder, files in found.items())


def _installs_executables(argv):
    """Whether the caller (colcon, bloom) puts the executables into `lib/mtor_swarm` itself."""
    return any(each.startswith("--install-scripts") or each == "symlink_data" for each in argv)


setup(
    name=NAME,
    version="0.1.0",
    description="A realm of AI workers on every robot, and a swarm with no one in charge",
    maintainer="mtor_swarm maintainers",
    maintainer_email="maintainers@mtor-swarm.org",
    license="Apache-2.0",
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.10,<3.15",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={NAME: ["py.typed", "gateway/static/**", "swarm/simnet/scenarios/*"]},
    data_files=data_files(),
    install_requires=[
        "cryptography>=44",
        "msgspec>=0.19",
        "numpy>=1.26",
        "prometheus-client>=0.21",
        "psutil>=6",
        "py-trees>=2.3",
        "PyYAML>=6",
        "pyzmq>=26",
        "rich>=13",
        "zeroconf>=0.132",
        "tomli>=2; python_version < '3.11'",
    ],
    extras_require={
        "ros": ROS,
        "ai": AI,
        "sim": SIM,
        "viewer": VIEWER,
        "bench": BENCH,
        "dev": DEV,
    },
    entry_points={
        "console_scripts": [f"{each} = {at}" for each, at in EXECUTABLES.items()],
        "mtor_swarm.workers": [f"{each} = {at}" for each, at in WORKERS.items()],
    },
    zip_safe=False,
)
