# shellcheck shell=bash
# Checkpoints that a bad disk cut or changed: the newest whole one is taken, and said; none is an error.
brief() { run "$@" | sed -n '1p;/^warning\|^evenkeel\|^trained\|images of\|^(exit/p' | sed -E 's/^(trained .* in ).*/\1TIME/'; }
make_images photos 40
evenkeel scan photos -o RUN --quiet >/dev/null
training=(evenkeel train flow RUN --name m --space pixel --side 8 --patch 4 --width 16 --depth 1 --batch 8 --slice 2
	--log-every 2 --schedule constant --precision f32 --quiet)
sampling=(evenkeel generate RUN --model m --count 2 --steps 2 --precision f32 --quiet)
log_of() { sed -E 's/"(seconds|images_per_second|seconds_left)":[^,}]*//g' RUN/models/m/log.jsonl; }
"${training[@]}" --steps 30 --dry-run --json | grep -o '"[a-z_]*"' | paste -sd ' '
"${training[@]}" --steps 30 >/dev/null
"${training[@]}" --steps 60 >/dev/null
"${training[@]}" --steps 90 >/dev/null
log_of >before
"${sampling[@]}" --name before >/dev/null
cd RUN/models/m || exit
echo '# one bit of the newest, and an empty one'
printf '\001' | dd of=step-00000090.safetensors bs=1 seek="$(($(stat -c %s step-00000090.safetensors) - 60000))" conv=notrunc status=none
cp step-00000090.safetensors step-00000120.safetensors
truncate -s 0 step-00000120.safetensors
cd ../../.. || exit
brief "${sampling[@]}" --name a
brief "${training[@]}" --steps 90
log_of | cmp - before && echo the same log
brief "${sampling[@]}" --name b
cmp RUN/samples/before/images/000001.png RUN/samples/b/images/000001.png && echo the same images
run ls RUN/models/m
echo '# all of them'
truncate -s 999 RUN/models/m/step-*
brief "${sampling[@]}" --name c
brief "${training[@]}" --steps 120
rm RUN/models/m/step-*
brief "${training[@]}" --steps 120
brief "${training[@]}" --steps 4 --force
run ls RUN/models/m
