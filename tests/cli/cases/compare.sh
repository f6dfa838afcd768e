# shellcheck shell=bash
# Evaluations side by side. They are made up here: what evaluate makes of images is tested elsewhere.
mkdir -p one two three
printf '{}\n' | tee one/run.json two/run.json >three/run.json
# evaluation RUN NAME FD COVERAGE WORST DEVIATION GENERATED… : DEVIATION - is one set; the rest are members of generated
evaluation() {
	local run=$1 name=$2 fd=$3 coverage=$4 worst=$5 deviation=$6 images=$7 spread=
	shift 7
	[ "$deviation" = - ] || spread=$(for m in frechet_distance precision coverage coverage_worst; do
		printf '"%s":{"mean":0,"std":%s,"n":3},' $m "$deviation"
	done)
	mkdir -p "$run/evaluations"
	cat >"$run/evaluations/$name.json" <<-JSON
		{"name":"$name","generated":{"images":$images,"model":"m","steps":40,"guidance":${guidance:-1},$*},
		"reference":{"images":300,"what":"held_out"},"encoder":{"name":"${encoder:-pixels}","weights":null},"metric":"FD-pixels",
		"k":${k:-5},"frechet_distance":$fd,"precision":0.8,"recall":{"value":0.7,"ci95":[0.65,0.75]},"coverage":$coverage,
		"coverage_expected":0.969,"coverage_worst":$worst,"mass_coverage":null,
		"memorisation":{"nearest_train":{"median":3.25},"ratio":0.9,"copies_share":{"value":0.02,"ci95":[0.01,0.04]}},
		"per_cluster":[{"cluster":0,"coverage":0.95,"target_share":${share:-0.5}},{"cluster":1,"coverage":$worst,"target_share":0.5}],
		"spread":{${spread%,}}}
	JSON
}
natural='"subset":null,"weights":null,"method":null,"keep":1,"training_images":1000'
half='"subset":"half","method":"furthest","keep":0.5,"training_images":500'

run evenkeel compare one
evaluation one natural 40 0.9 0.4 0.01 900 "$natural"
run evenkeel compare one
evaluation one weighted 41 0.905 0.6 0.01 900 '"weights":"inverse","keep":1,"training_images":1000'
evaluation one half 40.01 0.85 0.35 0.01 900 "$half"
evaluation one tenth 60.25 0.5 0.05 - 900 '"subset":"tenth","method":"nearest","keep":0.1,"training_images":100'
evaluation one few 44 0.8 0.3 0.01 300 "$half"
encoder=clip evaluation one clip 4 0.8 0.3 0.01 900 "$half"
k=3 evaluation one near 44 0.8 0.3 0.01 900 "$half"
guidance=4 share=0.25 evaluation one aimed 44 0.8 0.3 0.01 900 "$half"
evaluation one folder 80 0.4 0.1 0.01 900 '"path":"/elsewhere"' && sed -i 's/"model":"m",//' one/evaluations/folder.json
run evenkeel compare one

echo '# chosen'
run evenkeel compare one --baseline half --name 'natural,w*'
run evenkeel compare one --csv all.csv --name 'natural,half' >/dev/null
head -n 1 all.csv | tr , '\n' | head -n 21
tr -d '\r' <all.csv | cut -d, -f 1-21
tail -c 2 all.csv | od -An -c
evenkeel compare one --name half --json | grep -A 8 -e '"evaluation"' -e '"coverage":'

echo '# several runs: what is not known to be of the same images is not compared'
evaluation two weighted 41 0.905 0.6 0.01 900 '"weights":"inverse","keep":1,"training_images":1000'
run evenkeel compare one two --name '*ted,natural'
run evenkeel compare two

echo '# mistakes'
run evenkeel compare
run evenkeel compare one one
run evenkeel compare nowhere
run evenkeel compare three
run evenkeel compare one --baseline none
run evenkeel compare one --name none
run evenkeel compare one --csv none/all.csv
run evenkeel compare one --csv one/evaluations/all.json
printf '{"generated": {"images": 9}, "reference"' >three/evaluations.json
mkdir -p three/evaluations && mv three/evaluations.json three/evaluations/torn.json
run evenkeel compare three
sed 's/"frechet_distance":40/"frechet_distance":"forty"/' one/evaluations/natural.json >three/evaluations/torn.json
run evenkeel compare three

echo '# the clock ended one training sooner: said where the difference is read; and why something is null'
mkdir -p steps/samples/{slow,quick} && cp one/run.json steps/run.json
echo '{"model_step": 426}' >steps/samples/slow/config.json
echo '{"model_step": 648}' >steps/samples/quick/config.json
evaluation steps natural 40 0.9 0.4 0.01 900 "\"samples\":[\"slow\"],$natural"
evaluation steps weighted 35 0.95 0.6 0.01 900 '"samples":["quick"],"weights":"inverse","keep":1,"training_images":1000'
run evenkeel compare steps
run evenkeel compare steps --json | grep -E '"(made_otherwise|training_steps|mass_coverage|reasons|kid)"'
