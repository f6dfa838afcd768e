#!/usr/bin/env python3
"""What bench_encoder and bench_vae are measured against on a GPU: PyTorch compiled, bf16, channels last; a line each.

    python tests/bench/rival_encoders.py NAME BATCH ...

NAME: efficientnet-lite0, inception-fid, dinov2-vits14, clip-vit-b32 (timm's and torchvision's networks, images of bytes
that lie on the GPU, and that are brought there first), vae-encode, vae-train (diffusers' AutoencoderKL of Stable
Diffusion's size, 256 x 256).
"""
import statistics
import sys

import torch

WARMUP, REPEATS, ROUNDS = 5, 20, 5
SIDES = {"inception-fid": 299}
TIMM = {
    "efficientnet-lite0": ("tf_efficientnet_lite0", {"num_classes": 0}),
    "dinov2-vits14": ("vit_small_patch14_dinov2", {"num_classes": 0, "img_size": 224}),
    "clip-vit-b32": ("vit_base_patch32_clip_224", {"num_classes": 512}),
}


def median_ms(run, repeats=REPEATS):
    for _ in range(WARMUP):
        run()
    times = []
    for _ in range(ROUNDS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(repeats):
            run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / repeats)
    return statistics.median(times)


def encoder(name, batch):
    """Two runs, of resident images and of others, compiled and run once."""
    if name in TIMM:
        import timm

        model = timm.create_model(TIMM[name][0], pretrained=False, **TIMM[name][1])
    else:
        import torchvision

        model = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
        model.fc = torch.nn.Identity()
    model = model.eval().cuda().to(torch.bfloat16, memory_format=torch.channels_last)
    side = SIDES.get(name, 224)
    host = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8).pin_memory()
    there = host.cuda()

    @torch.compile
    def forward(x):
        return model(x.permute(0, 3, 1, 2).to(torch.bfloat16) / 64 - 2).float()

    def resident():
        with torch.inference_mode():
            return forward(there)

    def whole():
        there.copy_(host, non_blocking=True)
        return resident()

    resident()
    return [("resident", resident), ("with upload", whole)]


def autoencoder(batch, train):
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    widths = (128, 256, 512, 512)
    model = AutoencoderKL(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 4,
                          up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=widths, layers_per_block=2,
                          latent_channels=4, norm_num_groups=32).cuda().to(memory_format=torch.channels_last)
    x = (torch.rand(batch, 3, 256, 256, device="cuda") * 2 - 1).to(memory_format=torch.channels_last)
    if not train:
        model = model.to(torch.bfloat16).eval()
        x = x.to(torch.bfloat16)
        compiled = torch.compile(lambda x: model.encode(x).latent_dist.parameters)

        def encode():
            with torch.inference_mode():
                return compiled(x)

        encode()
        return [("encode", encode)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0, fused=True)

    def loss_of(x):
        with torch.autocast("cuda", torch.bfloat16):
            latent = model.encode(x).latent_dist
            made = model.decode(latent.sample()).sample
        return ((made.float() - x) ** 2).mean() + 1e-6 * latent.kl().mean()

    compiled = torch.compile(loss_of)

    def step():
        compiled(x).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    return [("train", step)]


def prepare(name, batch):
    return autoencoder(batch, name == "vae-train") if name.startswith("vae") else encoder(name, batch)


def measure(name, batch, runs):
    for what, run in runs:
        ms = median_ms(run, 5 if name.startswith("vae") else REPEATS)
        print(f"PyTorch {name} batch {batch} {what}: {batch / ms * 1e3:.0f} images/s ({ms:.2f} ms)", flush=True)


if __name__ == "__main__":
    torch.backends.cudnn.benchmark = True
    for i in range(1, len(sys.argv) - 1, 2):
        measure(sys.argv[i], int(sys.argv[i + 1]), prepare(sys.argv[i], int(sys.argv[i + 1])))
