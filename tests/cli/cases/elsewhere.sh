# shellcheck shell=bash
# A run made in one folder, all paths given relative to it, moved to a second, and used from a third.
lines() { run "$@" | sed -E 's/^(trained .* in ).*/\1TIME/; s/(loss +)[0-9.e-]+/\1LOSS/' | sed -n '1p;/^warning\|^evenkeel\|again\|going on\|^trained\|images of\|^model\|^images:\|^(exit/p'; }
mkdir A B C
make_images photos 60
cd A || exit
printf 'file_name,size\n' >sizes.csv
(cd ../photos && find . -name '*.png' -o -name '*.jpg' | sed 's#^\./##' | sort | awk '{ print $0 "," NR % 2 }') >>sizes.csv
printf '0,1\n1,1\n2,2\n' >shares.csv
vae=(--side 16 --widths "16,16" --groups 8 --latent-channels 2 --batch 8 --slice 2 --precision f32 --quiet)
flow=(--width 16 --depth 1 --patch 2 --batch 8 --slice 2 --precision f32 --quiet)
lines evenkeel audit ../photos -o R --encoder pixels --clusters 3 --attributes sizes.csv --held-out 0.2 --quiet
lines evenkeel train vae R --name ae --steps 4 "${vae[@]}"
lines evenkeel train vae R --name from --from R/models/ae --steps 2 "${vae[@]}"
lines evenkeel train flow R --name fl --autoencoder ae --condition cluster --steps 4 "${flow[@]}"
lines evenkeel train flow R --name more --autoencoder R/models/ae --from R/models/fl/step-00000004.safetensors --condition cluster \
	--steps 2 "${flow[@]}"
lines evenkeel generate R --model fl --name s --count 12 --steps 2 --quiet
lines evenkeel evaluate R --samples s --target shares.csv --resamples 100 --quiet
evenkeel report R --quiet >/dev/null
cp ../A/R/samples/s/images/000003.png kept.png
mv R ../B/S
cd ../C || exit
mv ../A ../gone
echo '# nothing in it names the folder where it was, but for files of its user'
grep -rIn "$(dirname "$PWD")/A" ../B/S --include='*.json' --include='*.jsonl' --exclude-dir=cache | sed -E 's/:[0-9]+:.*(: "[^"]*").*/\1/' | sort -u
grep -h '"autoencoder"\|"from"' ../B/S/models/*/config.json
grep -h '"target":' ../B/S/evaluations/s.json
echo '# all goes on'
evenkeel info ../B/S | grep -i 'stale\|changed'
lines evenkeel generate ../B/S --model fl --name again --count 12 --steps 2 --quiet
cmp ../B/S/samples/again/images/000003.png ../gone/kept.png && echo the same
lines evenkeel train flow ../B/S --name fl --autoencoder ae --condition cluster --steps 6 "${flow[@]}"
lines evenkeel train vae ../B/S --name ae --steps 6 "${vae[@]}"
lines evenkeel train vae ../B/S --name from --from ../B/S/models/ae --steps 4 "${vae[@]}"
lines evenkeel train flow ../B/S --name fl --autoencoder ae --condition cluster --steps 8 "${flow[@]}"
lines evenkeel generate ../B/S --model more --name more --count 12 --steps 2 --quiet
lines evenkeel evaluate ../B/S --samples again --resamples 100 --quiet
lines evenkeel report ../B/S --quiet

echo '# as earlier versions wrote it: relative to a working directory, or to where the run was'
cp -r ../B/S ../B/T
for was in A/R ../A/R "$(dirname "$PWD")/B/S" "$PWD/none"; do
	sed -i "s#\"autoencoder\": .*#\"autoencoder\": \"$was/models/ae\",#" ../B/T/models/fl/config.json
	evenkeel generate ../B/T --model fl --name old --count 2 --steps 2 --quiet --force >/dev/null && echo made
done
rm -r ../B/T/models/ae
run evenkeel generate ../B/T --model fl --name old --count 2 --steps 2 --quiet --force
