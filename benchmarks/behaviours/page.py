"""The page of the gallery, made of the behaviours' own docstrings."""

from __future__ import annotations

import inspect

from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS, Behaviour

TOP = """# Behaviours

A behaviour is a pure function from what a unit knows, a `Scene` of itself and its neighbours, to
the velocity it wants in frame `map`; `gauci` answers with wheel speeds, the three votes with
opinions. One call serves one unit as well as a thousand.

```python
from mtor_swarm.swarm.behaviours.guard import Guard
from mtor_swarm.swarm.behaviours.registry import found
from mtor_swarm.swarm.behaviours.scene import Bodies, beside

flock = Guard(found("flocking"), clock=time.monotonic)
scene = beside(own, neighbours, mask, rng=rng, memory=memory)  # (1, ...) and (1, K, ...)
velocity = flock(scene, spacing_m=1.2)[0]
```

The guard lets nothing through that is not finite, of the right shape and within the speed limit,
counts what went wrong, and lets a behaviour that is late three times in a row rest. Where nothing
comes, the unit stands; reflex stops it in any case. `orca` takes what another behaviour wants and
gives what is safe among units. It keeps no margin, and in a crowd it gives way by millimetres: ask
for 0.05 m more than the hull where units can move sideways, 0.15 m more where they steer.

A package adds a behaviour by an entry point in `mtor_swarm.behaviours`, `swirl = swirl:swirl`: a
function of a `Scene` and of keyword parameters, whose docstring says `Source:`, `Inputs:` and
`Guarantees:`.

`python -m benchmarks.behaviours` draws these pictures (grey: where they began) and writes this
page; `python -m benchmarks swarm` measures.

| order of `vicsek` against noise | the votes: right and fast |
|---|---|
| ![order](behaviours/order.png) | ![voting](behaviours/voting.png) |
"""


def text() -> str:
    """The page, in Markdown."""
    return "\n".join([TOP, *(_section(each) for each in BEHAVIOURS.values())])


def _section(behaviour: Behaviour) -> str:
    name = behaviour.name
    doc = (inspect.getdoc(behaviour.function) or "").split("\n\n")[0]
    parameters = ", ".join(
        f"`{each}`" if default is inspect.Parameter.empty else f"`{each}={default}`"
        for each, default in behaviour.parameters.items()
    )
    return f"""## `{name}`

![{name}](behaviours/{name}.png)

{" ".join(doc.split())}

- Source: {behaviour.source}
- Inputs: {behaviour.inputs}
- Guarantees: {behaviour.guarantees}
- Parameters: {parameters}
"""
