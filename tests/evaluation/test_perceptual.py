"""LPIPS with weights from a file is torchmetrics' own LPIPS."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchmetrics.functional.image.lpips
import torchvision
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from noiseda import evaluation
from noiseda.errors import ModelFileError, NoiseDAError
from tests.evaluation.conftest import noisy, random_image, tensor


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of torchvision's AlexNet."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    state = torchvision.models.alexnet(weights=None).state_dict()
    # of the classifier, 220 MB, no layer is used
    features = {name: value for name, value in state.items() if name.startswith("features.")}
    torch.save(features, path)
    return path


def definition(weights: Path, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> list[float]:
    """Zhang et al. 2018, eq. 1, on torchvision's AlexNet and the linear layers of torchmetrics."""
    layers = torchvision.models.alexnet(weights=None).features.eval()
    state = torch.load(weights, weights_only=True)
    layers.load_state_dict({n.removeprefix("features."): value for n, value in state.items()})
    heads = Path(inspect.getfile(torchmetrics.functional.image.lpips)).parent
    linear = torch.load(heads / "lpips_models" / "alex.pth", map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)

    def features(image: torch.Tensor) -> list[torch.Tensor]:
        image, found = (image * 2 - 1 - shift) / scale, []
        for number, layer in enumerate(layers):
            image = layer(image)
            if number in (1, 4, 7, 9, 11):
                found.append(image / (image.square().sum(1, keepdim=True) + 1e-8).sqrt())
        return found

    values = []
    with torch.no_grad():
        for restored, clean in pairs:
            differences = zip(features(restored), features(clean), strict=True)
            values.append(
                sum(
                    float(((a - b).square() * linear[f"lin{index}.model.1.weight"]).sum(1).mean())
                    for index, (a, b) in enumerate(differences)
                )
            )
    return values


def test_a_file_gives_the_value_of_the_definition(weights: Path) -> None:
    clean, other = tensor(random_image(64, 72)), tensor(random_image(64, 72, 1))
    near = tensor(noisy(random_image(64, 72), 30))
    metric = evaluation.lpips(weights)
    assert not metric.higher_is_better
    assert metric.label == "LPIPS (alex)"
    values = metric(torch.cat([near, other, clean]), clean.expand(3, -1, -1, -1))
    expected = definition(weights, [(near, clean), (other, clean)])
    assert values.tolist() == pytest.approx([*expected, 0.0], rel=1e-4, abs=1e-9)
    assert 0 < values[0] < values[1]
    # clamped and rounded, as it would be in a file
    assert metric(clean + 0.4 / 255, clean).tolist() == [0.0]


def test_without_a_file_torch_s_cache_is_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    full = torchvision.models.alexnet(weights=None).state_dict()
    cached = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    cached.parent.mkdir(parents=True)
    torch.save(full | torch.load(weights, weights_only=True), cached)
    clean = random_image(40, 48)
    pair = tensor(noisy(clean, 30)), tensor(clean)
    ours = evaluation.lpips(weights)(*pair).item()
    assert evaluation.lpips()(*pair).item() == ours
    # and torchmetrics' public metric says the same
    theirs = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    assert float(theirs(*pair)) == pytest.approx(ours, rel=1e-5)
    cached.unlink()


def test_no_weights_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # nobody answers there: as on a machine without network
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(NoiseDAError, match="--lpips-weights") as caught:
        evaluation.lpips()
    assert len(str(caught.value).splitlines()) == 1


def test_images_below_the_backbone_s_least_size(weights: Path) -> None:
    metric = evaluation.lpips(weights)
    for size in ((30, 80), (80, 30), (31, 31)):
        image = tensor(random_image(*size))
        assert metric(image, image).isnan().item() is (30 in size)


def test_vgg_and_safetensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = torchvision.models.vgg
    state = layers.make_layers(layers.cfgs["D"]).state_dict()
    path = tmp_path / "vgg.safetensors"
    safetensors.torch.save_file({f"features.{name}": value for name, value in state.items()}, path)
    metric = evaluation.lpips(path)
    assert metric.label == "LPIPS (vgg)"
    clean = random_image(32, 40)
    assert metric(tensor(noisy(clean, 40)), tensor(clean)).item() > 0


def test_wrong_files(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    first, last = "features.0.weight", "features.10.bias"
    path = tmp_path / "weights.pth"
    for content, word in (
        ({}, "missing"),
        ([1], "not a state dict"),
        ({**state, first: torch.zeros(3, 3)}, "neither AlexNet nor VGG-16"),
        ({name: value for name, value in state.items() if name != last}, last),
        ({**state, last: torch.zeros(2)}, "do not fit"),
        ({"x": Path("code")}, "weights alone"),
    ):
        torch.save(content, path)
        with pytest.raises(ModelFileError, match=word) as caught:
            evaluation.lpips(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    path.write_bytes(weights.read_bytes()[:1000])
    for wrong, word in ((path, "damaged"), (tmp_path / "none.pth", "no such file")):
        with pytest.raises(ModelFileError, match=word):
            evaluation.lpips(wrong)
