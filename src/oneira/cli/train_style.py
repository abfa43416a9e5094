"""`oneira train style`: a network that draws pictures in one style or many, or a texture, in one pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from cyclopts import Group
from pydantic import BaseModel, ConfigDict, Field

from oneira.cli.display import Display
from oneira.cli.options import OWN, argument, chosen, option, options_of, signed
from oneira.cli.outputs import require_training_folder
from oneira.cli.presets import LIST, InForce, tell_in_force, tell_presets
from oneira.cli.run_options import NAMES
from oneira.cli.stylizer_course import follow
from oneira.cli.verbs import PICTURE
from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.hardware import Precision, choose_device, choose_precision
from oneira.features.training.checkpointed import SAVE_EVERY
from oneira.feedforward import TrainedNetwork
from oneira.feedforward.shipped import network_file
from oneira.feedforward.training import (
    PRESETS,
    Pictures,
    StylizerFolder,
    StylizerSettings,
    begin_adding,
    begin_training,
    open_pictures,
    parse_phases,
    settings_with,
)
from oneira.feedforward.training.compared import Compared
from oneira.feedforward.training.ranks import Ranks, joined, own_device
from oneira.objectives import StyleSource
from oneira.techniques import SAMPLE, Style
from oneira.techniques.presets import default_preset, preset_called
from oneira.techniques.refusals import option_name

VERB = "train style"
COMPARING = Group("What a network's pictures are compared with", sort_key=2)
LEARNING = Group("How the network is trained", sort_key=3)
OF_NEW_NETWORKS = ("network", "channels", "initialisation", "identity")
OF_EACH_STYLE = ("style_weights", "identity_weight")  # of a network's own styles, and not of those that are added


class StyleTrainOptions(BaseModel):
    """What is learned, from which pictures, and where it goes; how, StylizerSettings decide."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: Path | None = Field(
        None, description="pictures to learn on: a folder of any depth, an .npz file of packed JPEGs, or a clip"
    )
    output: Path | None = Field(None, description="the folder of the training")
    add_style: tuple[str, ...] = Field(
        (),
        description="in place of STYLE: what the network named by --to learns besides its own styles, which stay as "
        "they are; may be repeated",
    )
    to: str | None = Field(
        None, description="the network for --add-style: a file that a training wrote, or pocket-styles"
    )
    like: str | None = Field(
        None, description="with --add-style: which of its styles the new ones begin as (default: the mean of all)"
    )
    start: str | None = Field(
        None, description="a network of the same styles to begin with instead of a fresh one, such as pocket-styles"
    )
    resume: bool = Field(False, description="go on from the checkpoint in --output, to the same bytes")
    save_every: float = Field(SAVE_EVERY, gt=0, description="seconds between checkpoints")
    weights: Path | None = Field(None, description="a file of weights for --model, instead of looking for them")
    offline: bool = Field(False, description="never touch the network; weights that are not here are an error")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")
    precision: Precision = Field(
        "auto", description="what to compute in; auto takes bfloat16 where the machine has instructions for it"
    )
    quiet: bool = Field(False, description="print nothing but errors")
    as_json: bool = Field(False, description="print a line of JSON per report on standard output")


def _train(*styles: str, preset: str | None = None, explain: bool = False, **given: Any) -> int:
    if preset == LIST:
        tell_presets(PRESETS, settings_with)
        return 0
    options = chosen(StyleTrainOptions, VERB, given)
    if "phases" in given:
        given["phases"] = parse_phases(",".join(given["phases"]))
    grown = _network_to_grow(options, styles, given)
    borrowed = {} if preset is None else preset_called(preset, PRESETS, VERB).options
    known = {} if grown is None else _known_of(grown)
    origins = {
        **dict.fromkeys(known, "network"),
        **dict.fromkeys(borrowed, "preset"),
        **dict.fromkeys(given, "given"),
    }
    settings = chosen(StylizerSettings, VERB, {**known, **borrowed, **given})
    if explain:
        name = preset or default_preset(PRESETS)
        own = dict.fromkeys(options.model_fields_set, "given")
        tell_in_force(f"{VERB}, preset {name}", PRESETS[name], InForce(settings, origins), InForce(options, own))
        return 0
    device = own_device(choose_device(options.device))
    with joined(device) as ranks:
        return _trained(styles or options.add_style, options, settings, grown, device, ranks)


style = signed(
    _train,
    "style",
    """Train a network that draws any picture in a style, or in one of several, in one pass; or a texture out of noise.

    STYLE is a picture, or what oneira save-style kept of some; styles are called by their file names. The folder named
    by --output gets a checkpoint (every 45 seconds), log.csv, preview.png, and in the end stylizer.safetensors, for
    oneira stylize --network. Killed at any time, it goes on with --resume. On several cards, or machines:
    torchrun --nproc-per-node 2 -m oneira train style ...
    """,
    [
        argument("style", str, f"whose manner is learned {PICTURE} [required, unless --add-style]", several=True),
        option("preset", str, f"named settings: {', '.join(PRESETS)}; {LIST} tells what each sets"),
        option("explain", bool, "print every option in force, and who set it, instead of training"),
        *options_of(StyleTrainOptions, OWN, names=NAMES),
        *options_of(Compared, COMPARING),
        option(
            "phases",
            tuple[str, ...],
            f"sides of the squares and steps at each [default: {','.join(map(str, StylizerSettings().phases))}]",
            group=LEARNING,
        ),
        *options_of(StylizerSettings, LEARNING, without=(*Compared.model_fields, "phases")),
    ],
)


def _network_to_grow(options: StyleTrainOptions, styles: Sequence[str], given: dict[str, Any]) -> TrainedNetwork | None:
    """The network that --to names; PlanError where options do not go with it, or need it."""
    if options.to is None:
        if options.add_style or options.like is not None:
            name = "--add-style" if options.add_style else "--like"
            raise PlanError(f"{name} is for a trained network: name it with --to")
        return None
    if options.start is not None:
        raise PlanError("--start is for a network that is trained whole, --to for one that learns another style")
    if styles or not options.add_style:
        raise PlanError("what the network named by --to learns besides its own styles is told by --add-style")
    for name in OF_NEW_NETWORKS:
        if name in given:
            raise PlanError(
                f"{option_name(name)} is for a new network, and --to names one that is trained: leave it out"
            )
    return TrainedNetwork.load(network_file(options.to))


def _known_of(grown: TrainedNetwork) -> dict[str, Any]:
    """What a new style of it is compared with unless told otherwise: what its own were."""
    compared = Compared.told_by(grown.about)
    return {} if compared is None else compared.model_dump(exclude=set(OF_EACH_STYLE))


def _trained(
    styles: Sequence[str],
    options: StyleTrainOptions,
    settings: StylizerSettings,
    grown: TrainedNetwork | None,
    device: torch.device,
    ranks: Ranks,
) -> int:
    """Train in the folder; the exit status. Of several processes, the first one tells about it."""
    display = Display(quiet=options.quiet or not ranks.first, json=options.as_json and ranks.first)
    if options.output is None:
        raise PlanError("training needs --output, a folder for its checkpoints and the network")
    folder = StylizerFolder(options.output)
    require_training_folder(folder.path, begun=folder.begun, resume=options.resume)
    with display.notices():
        pictures = _pictures(options, settings)
        sources = _sources(styles, display)
        precision = choose_precision(options.precision, device)
        encoder = Encoder(
            device=device,
            precision=precision,
            variant=settings.variant,
            weights={} if options.weights is None else {settings.model: options.weights},
            offline=options.offline,
            progress=display.download,
        )
        with display.progress():
            if grown is None:
                start = None if options.start is None else TrainedNetwork.load(network_file(options.start))
                training = begin_training(
                    sources, settings, pictures, encoder, precision=precision, start=start, ranks=ranks
                )
            else:
                assert pictures is not None
                training = begin_adding(
                    grown, sources, settings, pictures, encoder, precision=precision, like=options.like, ranks=ranks
                )
            return follow(training, folder, display, resume=options.resume, save_every=options.save_every)


def _pictures(options: StyleTrainOptions, settings: StylizerSettings) -> Pictures | None:
    """What is learned on; PlanError where it is missing, or of no use."""
    if settings.network == "texture":
        if options.data is not None:
            raise PlanError("--network texture learns to make a texture out of noise: leave --data out")
        return None
    if options.data is None:
        raise PlanError("name pictures to learn on with --data: a folder, an .npz file of packed JPEGs, or a clip")
    return open_pictures(options.data)


def _sources(styles: Sequence[str], display: Display) -> dict[str, StyleSource]:
    """Styles by name. PlanError where there is none, or two have one name."""
    if not styles:
        raise PlanError("train style needs STYLE: a picture, or a .style file, whose manner is learned")
    named: dict[str, str] = {}
    for path in styles:
        name = Path(path.removeprefix(SAMPLE)).stem
        if name in named:
            raise PlanError(
                f"styles are called by their file names, and {named[name]!r} and {path!r} are both called {name!r}: "
                "leave one out, or rename it"
            )
        named[name] = path
    technique = Style.configured(content=f"{SAMPLE}cat", style=tuple(styles))
    sources = dict(zip(named, technique.sources(), strict=True))
    for note in technique.notes:
        display.note(note)
    return sources
