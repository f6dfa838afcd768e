#!/usr/bin/env python3
"""A small DiT as diffusers keeps it, and what it makes by Euler steps of its prediction, taken for a velocity:

    pip install torch diffusers numpy
    python tests/golden/make_dit_diffusers.py      # writes dit-diffusers/ and dit_diffusers.json

dit-diffusers/: config.json and diffusion_pytorch_model.safetensors of a DiTTransformer2DModel of random weights.
dit_diffusers.json: of every image its label, its seed and the sample [h, w, c], from the noise of that seed.

Two constants of diffusers are not those that the public weights were trained with, and are set to these here: the
slowest frequency of a time (downscale_freq_shift) and the epsilon of the last norm.
"""
import copy
import json
import pathlib
from importlib.metadata import version

import torch
from diffusers import DiTTransformer2DModel
from sit_noise import noise, seeds_of

HERE = pathlib.Path(__file__).parent
LABELS, STEPS, CHANNELS, SIDE = [0, 0, 3, 3], 3, 3, 8


@torch.no_grad()
def main():
    torch.manual_seed(5)
    model = DiTTransformer2DModel(num_attention_heads=1, attention_head_dim=16, in_channels=CHANNELS,
                                  out_channels=2 * CHANNELS, num_layers=2, norm_num_groups=1, sample_size=SIDE,
                                  patch_size=2, num_embeds_ada_norm=4, norm_eps=1e-6).eval()
    for p in model.parameters():
        p.data = (torch.randn_like(p) * (0.3 if p.dim() > 1 and p.shape[1] < 64 else 0.04)).half().float()
    first = model.transformer_blocks[0].norm1.emb
    for block in model.transformer_blocks[1:]:  # one embedder, which the converter writes into every block
        block.norm1.emb.load_state_dict(first.state_dict())
    for block in model.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = 0
    copy.deepcopy(model).half().save_pretrained(HERE / "dit-diffusers")  # the positions stay as they are here
    seeds, y = seeds_of(LABELS), torch.tensor(LABELS)
    x = torch.stack([noise(s, (CHANNELS, SIDE, SIDE)) for s in seeds])
    for i in range(STEPS):
        t = torch.full((len(LABELS),), i / STEPS)
        x = x + model(x, timestep=t, class_labels=y).sample[:, :CHANNELS] / STEPS
    assert 0.1 < x.std() < 10 and (x[0] - x[2]).abs().max() > 0.1, x.std()
    images = [{"label": a, "seed": s, "samples": [float(f"{v:.8g}") for v in i.permute(1, 2, 0).flatten().tolist()]}
              for a, s, i in zip(LABELS, seeds, x)]
    (HERE / "dit_diffusers.json").write_text(json.dumps({
        "made_by": "make_dit_diffusers.py", "versions": {p: version(p) for p in ("torch", "diffusers")},
        "steps": STEPS, "images": images}).replace(', {"label"', ',\n{"label"') + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
