#!/usr/bin/env python3
"""A small public SiT and what the public sampler makes of it, and the comparison at SiT-S/2:

    pip install torch timm torchdiffeq diffusers numpy
    git clone https://github.com/willisma/SiT
    SIT=SiT python tests/golden/make_sit_public.py                     # writes sit-public.pt and sit_public.json
    SIT=SiT python tests/golden/make_sit_public.py --compare EVENKEEL  # SiT-S/2, without and with guidance

sit-public.pt: the state dict of the public class, as its checkpoints are, with random weights (float16: it is small).
sit_public.json: for every case the solver, its steps, the guidance (of 3 channels, as forward_with_cfg has it), and of
every image its label, its seed and the samples of the public sampler, [h, w, c], from the noise of that seed.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

sys.path.insert(0, os.environ["SIT"])
from models import SiT, SiT_models  # noqa: E402
from transport import Sampler, create_transport  # noqa: E402
from sit_noise import noise, seeds_of  # noqa: E402

HERE = pathlib.Path(__file__).parent
SMALL = dict(input_size=8, patch_size=2, in_channels=3, hidden_size=16, depth=2, num_heads=1, num_classes=4)
CASES = [("euler", 8, 1.0), ("euler", 8, 3.0), ("heun", 6, 1.0)]
LABELS = [0, 0, 3, 3]


def shaken(model):
    """Random everywhere: the published initialisation gives 0."""
    torch.manual_seed(5)
    for name, p in model.named_parameters():
        if name != "pos_embed":
            p.data = (torch.randn_like(p) * (0.3 if p.dim() > 1 and p.shape[1] < 64 else 0.04)).half().float()
    model.pos_embed.data = model.pos_embed.data.half().float()
    return model.eval()


@torch.no_grad()
def public_samples(model, labels, seeds, solver, steps, guidance):
    c, side = model.in_channels, round(model.pos_embed.shape[1] ** 0.5) * model.patch_size
    z = torch.stack([noise(s, (c, side, side)) for s in seeds])
    y = torch.tensor(labels)
    sample = Sampler(create_transport()).sample_ode(sampling_method={"heun": "heun2"}.get(solver, solver),
                                                    num_steps=steps + 1)
    if guidance == 1:
        return sample(z, model.forward, y=y)[-1].permute(0, 2, 3, 1)
    none = torch.full_like(y, model.y_embedder.num_classes)
    x = sample(torch.cat([z, z]), model.forward_with_cfg, y=torch.cat([y, none]), cfg_scale=guidance)[-1]
    return x.chunk(2)[0].permute(0, 2, 3, 1)


def write():
    model = shaken(SiT(**SMALL, learn_sigma=True))
    torch.save({k: v.half() for k, v in model.state_dict().items()}, HERE / "sit-public.pt")
    cases, seeds = [], seeds_of(LABELS)
    for solver, steps, guidance in CASES:
        x = public_samples(model, LABELS, seeds, solver, steps, guidance)
        assert 0.1 < x.std() < 10 and (x[0] - x[2]).abs().max() > 0.1, x.std()
        cases.append({"solver": solver, "steps": steps, "guidance": guidance, "images": [
            {"label": y, "seed": s, "samples": [float(f"{v:.8g}") for v in i.flatten().tolist()]}
            for y, s, i in zip(LABELS, seeds, x)]})
    from importlib.metadata import version
    text = json.dumps({"made_by": "make_sit_public.py", "versions": {p: version(p) for p in (
        "torch", "timm", "torchdiffeq")}, "cases": cases})
    (HERE / "sit_public.json").write_text(text.replace(', {"label"', ',\n{"label"').replace(', {"solver"', ',\n{"solver"') + "\n")


def compare(program):
    """SiT-S/2 for latents of 32 x 32 x 4, in a random autoencoder of diffusers."""
    from diffusers import AutoencoderKL
    model = shaken(SiT_models["SiT-S/2"](input_size=32, num_classes=1000, learn_sigma=True))
    labels = [88, 88, 207, 979]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.save(model.state_dict(), folder / "SiT-S-2-256x256.pt")
        AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, sample_size=256,
                      down_block_types=("DownEncoderBlock2D",) * 4,
                      up_block_types=("UpDecoderBlock2D",) * 4).save_pretrained(folder / "vae")
        (folder / "images").mkdir()
        from PIL import Image
        for i in range(8):
            Image.fromarray(np.full((32, 32, 3), 30 * i, np.uint8)).save(folder / "images" / f"{i}.png")
        subprocess.run([program, "scan", "images", "-o", "run", "--quiet"], cwd=folder, check=True)
        for name, solver, steps, guidance in (("a", "euler", 20, 1), ("b", "euler", 20, 4), ("c", "heun", 10, 4)):
            subprocess.run([program, "generate", "run", "--model", "SiT-S-2-256x256.pt", "--autoencoder", "vae", "--name",
                            name, "--class", "88,207,979", "--count", "4", "--solver", solver, "--steps", str(steps),
                            "--guidance", str(guidance), "--guidance-channels", "3", "--precision", "f32", "--latents",
                            "--quiet"], cwd=folder, check=True)
            made = [json.loads(line) for line in open(folder / "run/samples" / name / "samples.jsonl")]
            assert [int(m["label"]) for m in made] == labels, made
            want = public_samples(model, labels, [m["seed"] for m in made], solver, steps, guidance).numpy()
            got = np.load(folder / "run/samples" / name / "latents.npy")
            print(f"SiT-S/2 {solver} {steps} guidance {guidance}: largest difference {np.abs(got - want).max():.2e}, "
                  f"relative {np.linalg.norm(got - want) / np.linalg.norm(want):.2e}, deviation {want.std():.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    compare(os.path.abspath(sys.argv[2])) if sys.argv[1:2] == ["--compare"] else write()
