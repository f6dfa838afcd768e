#!/usr/bin/env python3
"""Golden values of the autoencoders from diffusers' AutoencoderKL and VQModel, in float64:

    pip install torch diffusers
    python tests/golden/make_autoencoder.py

Writes autoencoder.json. All weights are random_weights.tensor(NAME, SHAPE); inputs and digests: see digests.py.
Images and latents are [n, h, w, c].

models: name -> "kind" ("kl", "vq"), "channels" of the levels, "blocks" residual blocks a level (one more going up),
  "latent", "groups" of every group norm (eps 1e-6), "attention" (1: in all blocks of the lowest level, too, not only in
  the middle; one head), "no_quant" and "no_post_quant" (1: without that convolution, as SD 3's and FLUX's), "codes" and "code_width" of the codebook (vq), "tensors": name -> shape. Those with a case are
  small; "sd-vae" and "vq-f8" are the full sizes, with "old_names": name in older files -> name here.
cases: of a model, for images "x" and, for kl, the latent's "noise".
  kl: "moments" (mean, then the log of the variance, clamped to -30 .. 20), z = mean + std noise, "decoded" from z;
    "mse" = mean((decoded - x)^2), "kl" = sum of the divergences from N(0, 1), averaged over images;
    loss = mse + kl_weight kl.
  vq: "latents" before quantisation, "indices" of the nearest codes, "smallest_gap" between the squared distances of the
    two nearest, "quantizer_loss" = mean((code - z)^2) + beta mean((code - z)^2), the first for z, the second for
    the codebook alone (VQModel's quantizer is the "legacy" one); "decoded" from the codes, straight through; loss = mse + quantizer_loss.
  "gradients": name -> digest. Some are 0 in theory: of to_k.bias (a softmax does not see it), and of constants that
    only group norms with one channel a group see.
  bf16: weights and activations in bf16, moments and losses in float32; for kl.
"""
import pathlib

import diffusers
import torch
from diffusers import AutoencoderKL, VQModel
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

import random_weights as rw
from digests import deviation, digest, nchw, nhwc, number, short, uniform, write

TYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}
IMAGES, SIDE, KL_WEIGHT = 2, 32, 1e-3
OLD = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def config(kind, channels, blocks, latent, groups, attention=0, codes=0, **without):
    c = {"kind": kind, "channels": channels, "blocks": blocks, "latent": latent, "groups": groups,
         "attention": attention, **without}
    return c | ({"codes": codes, "code_width": latent} if kind == "vq" else {})


SMALL = {"kl-1": config("kl", [32, 64], 1, 4, 16), "kl-2": config("kl", [32, 64], 2, 4, 32),
         "kl-f8": config("kl", [16, 32, 64, 64], 2, 4, 16, 1), "vq-1": config("vq", [32, 64], 1, 4, 16, 0, 32),
         "vq-small-f8": config("vq", [16, 32, 64, 64], 2, 8, 16, 1, 64),
         "kl-direct": config("kl", [32, 64], 1, 16, 16, no_quant=1, no_post_quant=1),
         "kl-half": config("kl", [32, 64], 1, 4, 16, no_quant=1)}
LARGE = {"sd-vae": config("kl", [128, 256, 512, 512], 2, 4, 32),
         "vq-f8": config("vq", [128, 256, 512, 512], 2, 8, 32, 1, 16384)}


def build(c):
    plain = len(c["channels"]) - 1
    down = ["DownEncoderBlock2D"] * plain + ["AttnDownEncoderBlock2D" if c["attention"] else "DownEncoderBlock2D"]
    up = ["AttnUpDecoderBlock2D" if c["attention"] else "UpDecoderBlock2D"] + ["UpDecoderBlock2D"] * plain
    options = {"down_block_types": tuple(down), "up_block_types": tuple(up),
               "block_out_channels": tuple(c["channels"]), "layers_per_block": c["blocks"],
               "latent_channels": c["latent"], "norm_num_groups": c["groups"]}
    if c["kind"] == "kl":
        model = AutoencoderKL(**options, use_quant_conv=not c.get("no_quant"),
                              use_post_quant_conv=not c.get("no_post_quant"))
    else:
        model = VQModel(**options, num_vq_embeddings=c["codes"], vq_embed_dim=c["code_width"])
    for m in model.modules():
        assert not isinstance(m, Attention) or m.heads == 1
        assert not isinstance(m, torch.nn.GroupNorm) or (m.eps, m.num_groups) == (1e-6, c["groups"])
    return model


def filled(c, kind):
    model = build(c)
    state = {n: torch.from_numpy(rw.tensor(n, tuple(p.shape))) for n, p in model.state_dict().items()}
    model.load_state_dict(state)
    return model.to(TYPES[kind])


def listing(c, old):
    with torch.device("meta"):
        tensors = {n: list(p.shape) for n, p in build(c).state_dict().items()}
    out = c | {"tensors": tensors}
    if old:
        out["old_names"] = {n.replace(new, was): n for n in tensors for new, was in OLD.items()
                            if "attentions" in n and new in n}
    return out


def run_kl(model, x, noise):
    moments = model._encode(x.to(model.dtype)).to(x.dtype)
    p = DiagonalGaussianDistribution(moments)
    z = p.mean + p.std * noise
    decoded = model.decode(z.to(model.dtype)).sample.to(x.dtype)
    mse, kl = ((decoded - x) ** 2).mean(), p.kl().mean()
    return mse + KL_WEIGHT * kl, {"mse": mse, "kl": kl}, {"moments": moments, "z": z, "decoded": decoded}, {}


def run_vq(model, x, _):
    latents = model.encode(x).latents
    with torch.no_grad():
        codes = model.quantize.embedding.weight
        distance = torch.cdist(nhwc(latents).reshape(-1, codes.shape[1]), codes).square()
        nearest = distance.topk(2, largest=False)
    out = model.decode(latents)
    chosen = model.quantize(latents)[2][2]
    assert (chosen == nearest.indices[:, 0]).all()
    mse = ((out.sample - x) ** 2).mean()
    gap = (nearest.values[:, 1] - nearest.values[:, 0]).min().item()
    return mse + out.commit_loss, {"mse": mse, "quantizer_loss": out.commit_loss}, {
        "latents": latents, "decoded": out.sample}, {"indices": chosen.tolist(), "smallest_gap": gap}


def scalar(truth, **others):
    return {"value": number(truth)} | {k: deviation(v, truth) for k, v in others.items()}


def case(name, c):
    factor = 2 ** (len(c["channels"]) - 1)
    image = (IMAGES, SIDE, SIDE, 3)
    inputs = [{"array": "x", "name": f"{name} x", "shape": list(image), "scale": 1.0, "offset": 0.0}]
    if c["kind"] == "kl":
        shape = [IMAGES, SIDE // factor, SIDE // factor, c["latent"]]
        inputs.append({"array": "noise", "name": f"{name} noise", "shape": shape, "scale": 1.75, "offset": 0.0})
    losses, scalars, tensors, gradients, others = {}, {}, {}, {}, {}
    for kind in ("f64", "f32", "bf16") if c["kind"] == "kl" else ("f64", "f32"):
        model = filled(c, kind)
        x, noise = [nchw(torch.from_numpy(uniform(i["name"], i["shape"], i["scale"])).to(
            TYPES["f32" if kind == "bf16" else kind])) for i in inputs] + ([None] if len(inputs) == 1 else [])
        loss, s, t, others[kind] = (run_kl if c["kind"] == "kl" else run_vq)(model, x, noise)
        loss.backward()
        losses[kind] = loss.detach()
        scalars[kind] = {k: v.detach() for k, v in s.items()}
        tensors[kind] = {k: nhwc(v.detach()) for k, v in t.items()}
        gradients[kind] = {n: p.grad for n, p in model.named_parameters()}
    out = {"name": name, "model": name, "inputs": inputs}
    if c["kind"] == "kl":
        out["kl_weight"] = KL_WEIGHT
    else:
        out["beta"] = model.quantize.beta
        assert others["f64"]["indices"] == others["f32"]["indices"] and others["f64"]["smallest_gap"] > 1e-4
        out |= others["f64"] | {"smallest_gap": short(others["f64"]["smallest_gap"])}
    rest = [k for k in losses if k != "f64"]
    out["loss"] = scalar(losses["f64"], **{k: losses[k] for k in rest})
    out |= {n: scalar(v, **{k: scalars[k][n] for k in rest}) for n, v in scalars["f64"].items()}
    out |= {n: digest(v, **{k: tensors[k][n] for k in rest}) for n, v in tensors["f64"].items()}
    out["gradients"] = {n: digest(v, **{k: gradients[k][n] for k in rest}) for n, v in gradients["f64"].items()}
    return out


def main():
    torch.set_num_threads(2)
    diffusers.utils.logging.set_verbosity_error()  # casting with .to() is meant
    models = {n: listing(c, False) for n, c in SMALL.items()} | {n: listing(c, True) for n, c in LARGE.items()}
    write(pathlib.Path(__file__).with_name("autoencoder.json"), {
        "made_by": "make_autoencoder.py",
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
        "models": models, "cases": [case(n, c) for n, c in SMALL.items()]})


if __name__ == "__main__":
    main()
