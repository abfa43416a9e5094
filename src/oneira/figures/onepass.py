"""How far one pass of a network gets, in iterations of the optimisation that it stands for (Johnson et al. 2016)."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError, RecipeError, nearest
from oneira.features.training.dataset import middle_square
from oneira.feedforward import TextureNetwork, TrainedNetwork, TransformerNetwork
from oneira.feedforward.shipped import SHIPPED, network_file
from oneira.feedforward.training.compared import Compared
from oneira.figures.chart import COLOURS, Line, chart
from oneira.figures.figure import Course, Drawn, Equipment, Figure, Progress
from oneira.images import PHOTOGRAPHS, SAMPLES, Picture
from oneira.images.opening import sha256_of
from oneira.objectives import StyleSource, Term
from oneira.objectives.term import BoundObjective
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import single
from oneira.techniques import SAMPLE, ImagePath, Style, located

CHART = (500, 800)  # pixels down and across
OTHER = "network"  # how recipes call one that does not ship


@dataclass(frozen=True, eq=False)
class Trial:
    """The objective of one photograph: `course` (steps + 1,), before each iteration and in the end; of one pass."""

    course: Tensor
    one_pass: float


@dataclass(frozen=True, eq=False)
class Raced:
    """A style's trials, on average."""

    name: str
    course: Tensor
    one_pass: float

    @classmethod
    def of(cls, name: str, trials: Sequence[Trial]) -> "Raced":
        """The means over photographs, as the paper has them."""
        one_pass = sum(trial.one_pass for trial in trials) / len(trials)
        return cls(name, torch.stack([trial.course for trial in trials]).mean(0), one_pass)

    @property
    def iterations(self) -> int | None:
        """After how many the optimisation is as low as one pass; None where it does not get there."""
        reached = (self.course <= self.one_pass).nonzero()
        return int(reached[0]) if len(reached) else None

    @property
    def told(self) -> str:
        """The same in words."""
        if self.iterations is None:
            return f"{self.name}: one pass is lower than {len(self.course) - 1} iterations"
        if self.iterations == 0:
            return f"{self.name}: one pass is no lower than the photograph itself"
        return f"{self.name}: one pass is as low as {self.iterations} iterations"

    def numbers(self) -> dict[str, float]:
        """For a table."""
        reached = {} if self.iterations is None else {"iterations as low": float(self.iterations)}
        return {
            "photograph": float(self.course[0]),
            "one pass": self.one_pass,
            **reached,
            f"{len(self.course) - 1} iterations": float(self.course[-1]),
        }


class OnePass(Figure):
    """One pass of a network against optimisation: after how many iterations is the same objective as low?

    Johnson et al. 2016, figure 5, for each style. The objective is the one that the network was trained with.
    Departure: theirs is minimised by L-BFGS from noise; here it begins with the photograph, as one pass does.
    """

    positional: ClassVar[tuple[str, ...]] = ("network", "picture")
    rows: ClassVar[str] = "style"

    network: str = Field(description="the network: a file that oneira train style wrote, or pocket-styles")
    picture: tuple[ImagePath, ...] = Field(
        (),
        description="photographs that it has not learned from, of which means are shown (a file, or sample:NAME; "
        "default: those that come with Oneira)",
    )
    style: tuple[ImagePath, ...] = Field(
        (),
        max_length=len(COLOURS),
        description="what a style was learned from, a picture or a .style file, by whose file name the network calls "
        "it; may be repeated (default: those of its styles that come with Oneira)",
    )
    steps: int = Field(200, ge=1, le=100_000, description="iterations of the optimisation")
    optimiser: Literal["adam", "lbfgs"] = Field("adam", description="how the photograph descends")

    def draw(self, equipment: Equipment) -> Course:
        """A curve for each style, and a dashed line where one pass ends."""
        trained, compared = self._trained(equipment)
        sources = self._sources(trained)
        equipment.require_used([compared.model])
        equipment.encoder()  # which refuses files that a recipe does not have
        paths = self.picture or tuple(f"{SAMPLE}{name}" for name in PHOTOGRAPHS)
        squares = [middle_square(Picture.open(located(p)).image, self.size, 1.0)[None] / 255 for p in paths]
        total = len(sources) * len(squares) * self.steps
        raced: list[Raced] = []
        for style, (name, source) in enumerate(sources.items()):
            trials: list[Trial] = []
            for number, square in enumerate(squares):
                before = (style * len(squares) + number) * self.steps
                objective = _objective(compared, source, _share(compared, trained, name), square)
                painted = _painted(trained, name, square)
                trial = yield from self._tried(objective, compared, square, painted, equipment, (before, total))
                trials.append(trial)
            raced.append(Raced.of(name, trials))
        yield Progress("descending", total, total, _other_weights(trained, compared, equipment))
        return Drawn(self._shown(raced, len(squares)), {each.name: each.numbers() for each in raced})

    def _trained(self, equipment: Equipment) -> tuple[TrainedNetwork, Compared]:
        """The network, and what it was trained with; PlanError where there is nothing to compare."""
        file = network_file(self.network)
        own = self.network not in SHIPPED
        if own and equipment.recorded is not None and file not in equipment.recorded:
            raise RecipeError(f"the recipe names {str(file)!r} without a hash; what it means cannot be known")
        trained = TrainedNetwork.load(file)
        equipment.loaded[(OTHER, file) if own else (self.network, None)] = sha256_of(file)
        if isinstance(trained.network, TextureNetwork):
            raise PlanError(
                f"{self.network!r} makes a texture out of noise; what redraws no photograph has no objective"
            )
        compared = Compared.told_by(trained.about)
        if compared is None:
            raise PlanError(f"{self.network!r} does not tell what it was trained with; train it by oneira train style")
        return trained, compared

    def _sources(self, trained: TrainedNetwork) -> dict[str, StyleSource]:
        """Pictures by the names of their styles; PlanError for those that the network does not know."""
        own = _styles(trained)
        paths = self.style or tuple(f"{SAMPLE}{name}" for name in own if name in SAMPLES)
        named = {Path(path.removeprefix(SAMPLE)).stem: path for path in paths}
        for name, path in named.items():
            if name not in own:
                raise PlanError(
                    f"--style {path!r} is none that {self.network!r} was trained for{nearest(name, own)}: "
                    f"{', '.join(own)}, as their pictures' files are called"
                )
        if not named:
            raise PlanError(f"name the pictures that styles were learned from, by --style: {', '.join(own)}")
        return dict(zip(named, Style(content=f"{SAMPLE}cat", style=tuple(named.values())).sources(), strict=True))

    def _tried(
        self,
        objective: Term,
        compared: Compared,
        square: Tensor,
        painted: Tensor,
        equipment: Equipment,
        progress: tuple[int, int],
    ) -> Generator[Progress, None, Trial]:
        """Descend from the photograph, and see how low that is, and `painted`."""
        plan = Plan(
            Pixels.of(square),
            objective,
            single(self.size, self.steps),
            optimiser=OptimiserSpec(self.optimiser),
            variant=compared.variant,
        )
        run = Synthesis(
            plan,
            seed=equipment.seed,
            device=equipment.device,
            precision="float32" if equipment.precision == "auto" else equipment.precision,
            weights=equipment.weights,
            offline=equipment.offline,
            progress=equipment.progress,
        )
        course: list[float] = []
        for step in run:
            course.append(step.loss)  # of the picture before the step
            yield Progress("descending", progress[0] + step.done, progress[1])
        for backbone, sha256 in run.digests.items():
            equipment.loaded[backbone, equipment.weights.get(backbone)] = sha256
        bound = BoundObjective(objective, run.encoder, (self.size, self.size))
        with torch.no_grad():
            last, one_pass = (float(bound(each.to(run.device)).total) for each in (run.image, painted))
        return Trial(torch.tensor([*course, last], dtype=torch.float64), one_pass)

    def _shown(self, raced: Sequence[Raced], pictures: int) -> Tensor:
        lines = [
            Line(torch.arange(len(each.course), dtype=torch.float64), each.course, colour, each.told, each.one_pass)
            for each, colour in zip(raced, COLOURS, strict=False)
        ]
        seen = f"{pictures} photographs" if pictures > 1 else "a photograph"
        title = f"objective of {seen} of {self.size} pixels; dashed: of one pass of {Path(self.network).name}"
        return chart(lines, title=title, below=f"iterations of {self.optimiser}", size=CHART, logarithmic=True)


def _styles(trained: TrainedNetwork) -> list[str]:
    """What it was taught, but for the photograph itself."""
    return [name for number, name in enumerate(trained.names) if number != trained.identity]


def _share(compared: Compared, trained: TrainedNetwork, name: str) -> float:
    """The factor of a style in the training; of a network that styles were added to, those are the last ones."""
    names = _styles(trained)
    shares: Mapping[str, float] = dict(zip(reversed(names), reversed(compared.style_weights), strict=False))
    return shares.get(name, 1.0)


def _objective(compared: Compared, source: StyleSource, share: float, square: Tensor) -> Term:
    """What the network learned to minimise for a photograph, as a sum of terms."""
    return (
        compared.style_weight * share * compared.style(source)
        + compared.content_weight * compared.content(square)
        + compared.smoothness * compared.smooth()
    )


def _other_weights(trained: TrainedNetwork, compared: Compared, equipment: Equipment) -> str | None:
    """What to tell where other weights compare than those that did in the training."""
    then = dict(trained.about.get("compared_by", {})).get(compared.model)
    now = equipment.loaded.get((compared.model, equipment.weights.get(compared.model)))
    if then == now:
        return None
    return f"the network was trained with other weights of {compared.model} than those that compare here"


@torch.no_grad()
def _painted(trained: TrainedNetwork, name: str, square: Tensor) -> Tensor:
    """One pass, in float32."""
    assert isinstance(trained.network, TransformerNetwork)
    painted: Tensor = trained.network(square, trained.weights({name: 1.0}))
    return painted
