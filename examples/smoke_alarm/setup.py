"""A package that brings one kind of worker; `pip install .` makes `mtor worker add` find it."""

from setuptools import setup

setup(
    name="smoke_alarm",
    version="1.0",
    description="A worker for mtor_swarm: rings when smoke rises before the camera",
    license="Apache-2.0",
    packages=["smoke_alarm"],
    install_requires=["mtor_swarm", "numpy", "opencv-python-headless"],
    entry_points={"mtor_swarm.workers": ["smoke_alarm = smoke_alarm.worker:SmokeAlarm"]},
)
