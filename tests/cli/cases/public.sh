# shellcheck shell=bash
# A public SiT, and a DiT as diffusers keeps it: sampled as they are, equal to the public code; learned from without a
# condition and with other classes.
make_images images 30 >/dev/null
evenkeel audit images -o run --encoder pixels --clusters 3 --seeds 2 --quiet >/dev/null
# shellcheck disable=SC2154 # run-case sets it
golden=$(dirname "$script")/../../golden
cp "$golden/sit-public.pt" .

echo '# as the public sampler makes them, at 1e-5 of the largest number'
make() { # NAME SOLVER STEPS GUIDANCE
	evenkeel generate run --model sit-public.pt --name "$1" --class 0,3 --count 4 --solver "$2" --steps "$3" \
		--guidance "$4" --guidance-channels 3 --precision f32 --latents --quiet >/dev/null
}
make euler euler 8 1
make guided euler 8 3
make heun heun 6 1
cat >compare.py <<'EOF'
import json, struct, sys

for name, case in zip(("euler", "guided", "heun"), json.load(open(sys.argv[1]))["cases"]):
    folder = f"run/samples/{name}"
    data = open(f"{folder}/latents.npy", "rb").read()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    got = struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])
    rows = [json.loads(line) for line in open(f"{folder}/samples.jsonl")]
    assert [(int(r["label"]), r["seed"]) for r in rows] == [(i["label"], i["seed"]) for i in case["images"]], rows
    want = [v for i in case["images"] for v in i["samples"]]
    assert len(got) == len(want)
    error = max(abs(a - b) for a, b in zip(got, want)) / max(map(abs, want))
    print(name, "equal" if error <= 1e-5 else f"differs by {error}")
EOF
python3 compare.py "$golden/sit_public.json"

echo "# diffusers' names"
cp -r "$golden/dit-diffusers" .
evenkeel generate run --model dit-diffusers/diffusion_pytorch_model.safetensors --name diffusers --class 0,3 --count 4 \
	--steps 3 --precision f32 --latents --quiet >/dev/null
python3 - "$golden/dit_diffusers.json" <<'EOF'
import json, struct, sys

data = open("run/samples/diffusers/latents.npy", "rb").read()
start = 10 + struct.unpack("<H", data[8:10])[0]
got = struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])
images = json.load(open(sys.argv[1]))["images"]
rows = [json.loads(line) for line in open("run/samples/diffusers/samples.jsonl")]
assert [(int(r["label"]), r["seed"]) for r in rows] == [(i["label"], i["seed"]) for i in images], rows
want = [v for i in images for v in i["samples"]]
error = max(abs(a - b) for a, b in zip(got, want)) / max(map(abs, want))
print("equal" if len(got) == len(want) and error <= 1e-5 else f"differs by {error}")
EOF
weights=dit-diffusers/diffusion_pytorch_model.safetensors
mkdir cut && cp dit-diffusers/config.json cut
sed 's/1.attn1.to_k.weight/1.attn1.to_x.weight/' $weights >cut/weights.safetensors
run evenkeel generate run --model cut/weights.safetensors --name x --class 0 --quiet
run evenkeel train flow run --space pixel --side 8 --from $weights --condition cluster --name from --steps 1 --batch 4 \
	--dry-run --quiet | grep -c parameters
mv dit-diffusers/config.json .
run evenkeel generate run --model $weights --name x --class 0 --quiet
echo '{"sample_size": 0}' >dit-diffusers/config.json
run evenkeel generate run --model $weights --name x --class 0 --quiet

echo '# what is recorded, and what can be asked'
run evenkeel generate run --model sit-public.pt --name all --equal --count 6 --steps 2
grep -E '"(file|model|model_identity|condition|label|count)"' run/samples/all/config.json
run ls run/samples/all
run evenkeel generate run --model sit-public.pt --name x
run evenkeel generate run --model sit-public.pt --name x --class 4 --quiet
run evenkeel generate run --model sit-public.pt --name x --class 1 --minority
run evenkeel generate run --model sit-public.pt --name x --class 1 --autoencoder nothing --quiet
run evenkeel generate run --model images/none.pt --name x
run evenkeel generate run --model images --name x
run evenkeel generate run --model compare.py --name x --class 1

echo '# other bytes under the same name are another model'
cp "$golden/sit-training.pt" other.pt
cp other.pt swapped.pt
evenkeel generate run --model swapped.pt --name swapped --class 1 --count 1 --steps 1 --quiet >/dev/null 2>&1
cp sit-public.pt swapped.pt
run evenkeel generate run --model swapped.pt --name swapped --class 1 --count 1 --steps 1 --quiet

echo '# learned from'
learn() {
	run evenkeel train flow run --space pixel --side 8 --from sit-public.pt --steps 2 --batch 4 --precision f32 "$@" |
		sed -E -e 's/^(trained .* in ).*/\1TIME/; s/(loss +)[0-9.e-]+/\1LOSS/' -e '/^(training|reading images) /d'
}
learn --name plain
tr -d '\n\t' <run/models/plain/config.json | grep -o '"condition": {[^}]*}'
run evenkeel generate run --model plain --name plain --count 2 --steps 2 --quiet
learn --name clusters --condition cluster
grep -o '"from_classes": [0-9]*' run/models/clusters/config.json
run evenkeel generate run --model clusters --name clusters --cluster 2 --count 2 --steps 2 --guidance 2 --quiet
