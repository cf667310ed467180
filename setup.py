from setuptools import find_packages, setup

setup(
    name="mtor_swarm",
    version="0.1.0",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={"mtor_swarm": ["py.typed"]},
    entry_points={"console_scripts": ["mtor = mtor_swarm.cli.main:main"]},
)
