"""Recipes: what is accepted, and what the messages say about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from noiseda import adaptation, degradations, networks
from noiseda.errors import OptionError
from noiseda.training import Recipe, read_recipe, shipped

CONTENT: dict[str, Any] = {
    "name": "mine",
    "data": {
        "clean": [{"folder": "/photos/clean", "include": ["a*"]}, "/photos/more"],
        "real": "/photos/real",
        "validation": {"degraded": {"folder": "/val/noisy", "exclude": ["x*"]}, "clean": "/val/gt"},
        "cache": "/cache",
    },
    "degradation": {"name": "camera", "jpeg": [30, 90]},
    "network": {"name": "unet", "width": 8},
    "objective": {
        "name": "noise-space",
        "predictor": {"name": "sr3", "base": 8, "groups": 4},
        "schedule": {"name": "cosine", "steps": 500},
        "steps": [10, 400],
    },
    "training": {"images": 1000, "clip_norm": 1, "start": "/models/first"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    return path


def refused(source: str | Path, *overrides: str) -> str:
    with pytest.raises(OptionError) as caught:
        read_recipe(source, overrides)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- accepted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = read_recipe(name, ["data.clean=photos"])
    assert recipe.name == name
    options = dict(recipe.degradation or {})
    degradations.build(options.pop("name"), **options)
    options = dict(recipe.network)
    multiple = networks.build(options.pop("name"), **options).spec.size_multiple
    options = dict(recipe.objective)
    objective = adaptation.build(options.pop("name"), **options)
    assert recipe.data.patch % multiple == recipe.data.patch % objective.patch_multiple == 0
    # without data they say what is missing
    missing = "'data.clean' is missing; give clean images there, or data.pairs"
    assert refused(name) == f"{name}: {missing}"


def test_everything_given_is_there(file: Path) -> None:
    recipe = read_recipe(file)
    first, second = recipe.data.clean
    assert (first.folder, first.include) == (Path("/photos/clean"), ["a*"])
    assert (second.folder, second.include) == (Path("/photos/more"), [])
    assert [real.folder for real in recipe.data.real] == [Path("/photos/real")]
    assert recipe.data.unpaired == []
    assert recipe.data.validation is not None
    assert recipe.data.validation.degraded.exclude == ["x*"]
    assert recipe.training.start == Path("/models/first")
    # parts get their defaults, so that a run folder says everything
    assert recipe.network["depth"] == 4
    assert recipe.objective["weight"] == 0.2
    assert recipe.degradation is not None
    assert recipe.degradation["jpeg"] == (30, 90)


def test_round_trip(file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(file)
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert read_recipe(again) == recipe
    for text in ("123", "1e5", "null", "on", "0x1F", "1_000"):
        # texts that YAML would read as something else
        odd = recipe.model_copy(update={"name": text})
        again.write_text(odd.to_yaml())
        assert read_recipe(again).name == text


def test_overrides(file: Path) -> None:
    recipe = read_recipe(
        file,
        [
            "seed=7",
            "data.clean=[/one, {folder: /two, exclude: ['b*', c]}]",
            "data.validation=null",
            "degradation=gaussian",
            "network.width=4",
            "objective.predictor={base: 16}",
            "objective.steps=[1, 5]",
            "training={learning_rate: 1e-3}",
            "training.images=50",
        ],
    )
    assert recipe.seed == 7
    assert [str(item.folder) for item in recipe.data.clean] == ["/one", "/two"]
    assert recipe.data.clean[1].exclude == ["b*", "c"]
    assert recipe.data.validation is None
    # a name replaces a part, a mapping changes what it names
    gaussian = {"name": "gaussian", "sigma": (0, 75), "grain": (0, 0), "clamp": False}
    assert recipe.degradation == gaussian
    assert recipe.network["width"] == 4
    assert recipe.objective["predictor"] == {"name": "sr3", "base": 16, "groups": 4}
    assert recipe.objective["steps"] == (1, 5)
    assert (recipe.training.learning_rate, recipe.training.clip_norm) == (1e-3, 1)
    assert recipe.training.images == 50
    # the comparison of methods: the same recipe with another objective, or built up key by key
    vanilla = read_recipe(file, ["objective=vanilla"])
    assert vanilla.objective == {"name": "vanilla", "value_range": "unit"}
    # a list takes the place of a mapping
    mapping = "data.pairs={degraded: /a, clean: /b}"
    pairs = read_recipe(file, ["data.clean=[]", mapping, "data.pairs=[{degraded: /c, clean: /d}]"])
    assert [str(pair.clean) for pair in pairs.data.pairs] == ["/d"]
    built = ["objective=vanilla", "objective.name=noise-space", "objective.predictor.base=8"]
    assert read_recipe(file, built).objective["predictor"] == {"base": 8}


@pytest.mark.parametrize(
    ("overrides", "part", "kept"),
    [
        (["network={name: dncnn, nc: 8}"], "network", {"name": "dncnn", "nc": 8}),
        (["network=dncnn", "network.nc=8"], "network", {"name": "dncnn", "nc": 8}),
        (["network.name=dncnn", "network.nc=8"], "network", {"name": "dncnn", "nc": 8}),
        (["network.nc=8", "network.name=dncnn"], "network", {"name": "dncnn", "nc": 64}),
        (["degradation={name: gaussian}"], "degradation", {"name": "gaussian", "sigma": (0, 75)}),
        (["objective={name: vanilla}"], "objective", {"name": "vanilla", "value_range": "unit"}),
    ],
)
def test_another_part_takes_no_options_of_the_one_it_replaces(
    file: Path, overrides: list[str], part: str, kept: dict[str, Any]
) -> None:
    content = {**CONTENT, "network": {"name": "unet", "width": 8, "depth": 2}}
    file.write_text(yaml.safe_dump(content))
    values = {key: yaml.safe_load(text) for key, _, text in (o.partition("=") for o in overrides)}
    for given in (overrides, values):
        found = getattr(read_recipe(file, given), part)
        assert {key: found[key] for key in kept} == kept
    # the same part keeps its options
    assert read_recipe(file, ["network={name: unet, width: 4}"]).network["depth"] == 2
    predictor = read_recipe(file, ["objective.predictor={name: guided, base: 16}"]).objective
    assert predictor["predictor"] == {"name": "guided", "base": 16}
    assert predictor["steps"] == (10, 400)


def test_value_range_of_the_network_is_that_of_the_losses(file: Path) -> None:
    assert read_recipe(file).objective["value_range"] == "unit"
    signed = "network.value_range=signed"
    assert read_recipe(file, [signed]).objective["value_range"] == "signed"
    vanilla = read_recipe(file, [signed, "objective=vanilla"])
    assert vanilla.objective == {"name": "vanilla", "value_range": "signed"}
    explicit = read_recipe(file, [signed, "objective.value_range=unit"])
    assert explicit.objective["value_range"] == "unit"
    assert explicit.network["value_range"] == "signed"


def test_steps_cover_all_images(file: Path) -> None:
    def recipe(images: int, batch: int) -> Recipe:
        return read_recipe(file, [f"training.images={images}", f"data.batch={batch}"])

    assert [recipe(n, 8).steps for n in (1, 8, 9, 1000)] == [1, 1, 2, 125]
    assert [recipe(100, 8).every(n) for n in (1, 8, 80)] == [1, 1, 10]


# --- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "words"),
    [
        # unknown keys, at every depth
        ("traning.images=5", "unknown key 'traning'; did you mean 'training'?"),
        ("training.imgaes=5", "unknown key 'training.imgaes'; did you mean 'images'?"),
        ("data.btach=5", "unknown key 'data.btach'; did you mean 'batch'?"),
        ("data.real={folder: a, inclde: []}", "'data.real.0.inclde'; did you mean 'include'?"),
        ("data.clean=[a, {folder: a, x: 1}]", "'data.clean.1.x'; known: exclude, folder, include"),
        ("data.validation.claen=a", "'data.validation.claen'; did you mean 'clean'?"),
        (
            "data.validation.degraded.foldr=a",
            "'data.validation.degraded.foldr'; did you mean 'fold",
        ),
        ("network.widht=5", "network 'unet': unknown key 'widht'; did you mean 'width'?"),
        ("degradation.jpg=5", "degradation 'camera': unknown key 'jpg'; did you mean 'jpeg'?"),
        ("objective.wieght=5", "objective 'noise-space': unknown key 'wieght'; did you mean 'weig"),
        ("objective.predictor.bse=5", "'sr3': unknown key 'bse'; did you mean 'base'?"),
        ("objective.schedule.stps=5", "unknown key 'stps'; did you mean 'steps'?"),
        # unknown names
        ("network=unett", "unknown network 'unett'; did you mean 'unet'?"),
        (
            "objective.name=noise_space",
            "unknown objective 'noise_space'; did you mean 'noise-space'",
        ),
        ("objective.predictor.name=sr33", "unknown noise predictor 'sr33'; did you mean 'sr3'?"),
        ("objective.predictor.name=[3]", "unknown noise predictor [3]"),
        ("objective.schedule.name=linaer", "name: input should be 'linear'"),
        ("degradation.name=snow", "unknown degradation 'snow'; known: camera, gaussian, matched"),
        ("task=denoize", "task: unknown task; did you mean 'denoise'? (got 'denoize')"),
        # wrong type
        ("training.images=many", "training.images: input should be a valid integer"),
        ("training.images=", "training.images: input should be a valid integer"),
        ("training=5", "training: input should be a valid dictionary"),
        ("network=5", "network: expected a mapping with 'name'"),
        ("network={name: 5}", "network: expected a mapping with 'name'"),
        ("network.width=wide", "width: input should be a valid integer"),
        ("objective.predictor=sr3", "predictor: input should be a valid dictionary"),
        ("objective=5", "objective: expected a mapping with 'name'"),
        ("data.clean=[5]", "data.clean.0.folder: not a text in YAML; put quotes around"),
        ("data={cache: 5}", "data.cache: not a text in YAML; put quotes around"),
        ("data.clean=", "data.clean: input should be a valid list"),
        ("name=5", "name: input should be a valid string"),
        # out of range
        (
            "training.images=0",
            "training.images: input should be greater than or equal to 1 (got 0)",
        ),
        ("training.learning_rate=2", "training.learning_rate: input should be less than or equal"),
        ("training.learning_rate=.nan", "training.learning_rate: input should be"),
        ("training.ema_halflife=.inf", "training.ema_halflife: input should be a finite number"),
        ("training.precision=64", "training.precision: input should be '32-true'"),
        ("data.patch=4", "data.patch: input should be greater than or equal to 8 (got 4)"),
        ("data.clean=[]", "'data.clean' is missing"),
        ("network.width=-3", "network 'unet': width: input should be greater than"),
        ("network.value_range=sined", "unknown value_range 'sined'; did you mean 'signed'?"),
        ("objective.schedule.start=2", "start: input should be less than 1"),
        ("name=a/b", "name: string should match"),
        ("seed=-1", "seed: input should be greater than or equal to 0"),
        ("training.images=1000000000", "training.images: input should be less than 1000000000"),
        ("training.log_every=1000000000", "training.log_every: input should be less than"),
    ],
)
def test_wrong_values(file: Path, override: str, words: str) -> None:
    message = refused(file, override)
    assert message.startswith(f"{file}: ")
    assert words in message
    # the same mistake beside a value range that is handed on
    if override.startswith("objective"):
        assert words in refused(file, "network.value_range=signed", override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective.steps=[900, 2000]", "steps 900 to 2000 must satisfy"),
        ("objective.predictor.attention=[8]", "attention at downsampling rate 8 matches none of"),
        ("objective.predictor.head_channels=3", "head_channels=3 does not divide"),
        ("objective.predictor={name: sr3, groups: 3}", "groups=3 does not divide a layer of"),
        ("objective.predictor.base=100000000000000000000", "less than or equal to 1024"),
        ("objective.predictor.blocks=1000000", "less than or equal to 16"),
        ("objective.predictor.multipliers=[1,2,100000000]", "less than or equal to 64"),
        ("data.patch=66", "data.patch 66 must be a multiple of 4"),
    ],
)
def test_what_only_building_the_parts_shows(tmp_path: Path, override: str, words: str) -> None:
    text = shipped()["denoise-small"].read_text().replace("patch: 64", "patch: 64\n  clean: a")
    if "sr3" in override:
        text = text.replace("    head_channels: 16\n", "")
    path = tmp_path / "small.yaml"
    path.write_text(text)
    assert words in refused(path, override)


@pytest.mark.parametrize("override", ["data.batch", "data.clean=[a", "seed={a"])
def test_broken_override(file: Path, override: str) -> None:
    assert refused(file, "seed=1", override).startswith(f"--set {override}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not valid YAML"),
        ("a: 1\na: 2\n", "duplicate key a"),
        ("a: !!python/object:os.system {}", "not valid YAML"),
        ("\0", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        ("[1, 2]", "not a recipe"),
        ("3", "not valid YAML"),
        ("", "'name' is missing"),
        ("just text", "'name' is missing"),
        ("1: 2", "'name' is missing"),
        ("name: ${nowhere}", "'nowhere' not found"),
        ("network: {value_range: signed}\nobjective: [1]", "objective: expected a mapping"),
    ],
)
def test_broken_file(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert words in message


def test_no_such_recipe(tmp_path: Path) -> None:
    assert refused("denoise-smal").endswith("did you mean 'denoise-small'?")
    assert "no such recipe file" in refused(tmp_path / "absent.yaml")
    assert "no such recipe file" in refused(tmp_path)


def test_what_a_model_file_tells_of_its_recipe_names_no_place_on_the_disk(tmp_path: Path) -> None:
    recipe = read_recipe(
        "denoise-small",
        [f"data.clean={tmp_path}/mine", f"data.real=[{{folder: {tmp_path}/theirs}}]"],
    )
    told = recipe.shareable()
    assert told["data"]["clean"][0]["folder"] == "mine"
    assert str(tmp_path) not in str(told)
    # the run folder's own copy can be resumed from anywhere
    assert str(tmp_path) in recipe.to_yaml()
