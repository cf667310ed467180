"""Inside one unit: workers, the orchestrator that keeps them, commands and the last gate."""

import sys

# Every ROS message loads the package that generates its code, which takes 5 MiB and knows to do
# without its generator: here only what is generated already is wanted.
sys.modules.setdefault("rosidl_generator_py.generate_py_impl", None)  # type: ignore[arg-type]
