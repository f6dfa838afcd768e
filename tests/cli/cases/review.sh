# shellcheck shell=bash
# A review without its page: what is asked wrongly, what the log comes to, and what is exported.
make_images photos 60
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
run evenkeel help review
run evenkeel review RUN
run evenkeel review RUN --samples rare
make_samples RUN rare 8
run evenkeel review RUN --samples rare --port 70000
run evenkeel review RUN --samples ../rare
run evenkeel review RUN --samples rare --name a/b --quiet
run evenkeel review RUN --samples rare --reviewer '' --quiet
run evenkeel review RUN --samples rare --summary
run evenkeel review RUN --samples rare --export accepted

# A log by hand: two people, an undo, a damaged line, and a line that a kill cut short.
decide() {
	printf '{"sample": %s, "decision": "%s", "note": "%s", "reviewer": "%s", "time": "2026-11-25T19:00:00Z"}\n' "$@"
}
{
	decide 0 accept '' Anna
	decide 1 accept 'a bar' Anna
	decide 2 reject '' Anna
	decide 3 accept '' Anna
	decide 4 reject '' Anna
	echo '{"sample": 4, "undo": true, "reviewer": "Anna", "time": "2026-11-25T19:00:00Z"}'
	echo 'a line of an editor'
	decide 1 unsure 'perhaps' Ben
	decide 2 reject '' Ben
	decide 3 reject '' Ben
	decide 0 accept 'fine' Ben
	decide 5 accept '' Ben
	printf '{"sample": 6, "decis'
} >RUN/reviews/rare.jsonl
run evenkeel review RUN --samples rare --summary
run evenkeel review RUN --samples rare --summary --json --quiet
run evenkeel review RUN --samples rare --name other --summary
run evenkeel review RUN --samples rare --export accepted --quiet
run find accepted -type f | LC_ALL=C sort
# Distances differ in their last digits between processors.
run sed 's/distance": [0-9.e-]*/distance": DISTANCE/' accepted/metadata.jsonl
run cmp accepted/000005.png RUN/samples/rare/images/000005.png
run evenkeel info accepted
run evenkeel info RUN/reviews/rare.jsonl
run evenkeel review RUN --samples rare --export accepted --quiet
run evenkeel review RUN --samples rare --export accepted --force --quiet
echo mine >accepted/mine
run evenkeel review RUN --samples rare --export accepted --force --quiet
mkdir theirs
run evenkeel review RUN --samples rare --export theirs --quiet
run ls -a theirs

# A decision is on the image that was there: one made anew since has none.
hash=$(sha256sum <RUN/samples/rare/images/000007.png | cut -c 1-64)
printf '{"sample": 7, "decision": "accept", "note": "", "reviewer": "Anna", "time": "2026-11-25T19:00:00Z", "sha256": "%s"}\n' "$hash" >RUN/reviews/one.jsonl
run evenkeel review RUN --samples rare --name one --summary
cp RUN/samples/rare/images/000000.png RUN/samples/rare/images/000007.png
run evenkeel review RUN --samples rare --name one --summary
run evenkeel review RUN --samples rare --name one --export again

# A server that is there refuses a second one, and takes out what was cut short.
evenkeel review RUN --samples rare >url 2>said &
server=$!
trap 'kill "$server" 2>/dev/null' EXIT
for _ in {1..300}; do
	[ ! -s url ] || break
	sleep 0.1
done
run evenkeel review RUN --samples rare --quiet | sed 's/process [0-9]*/process N/'
run evenkeel review RUN --samples rare --summary --quiet
sed -E 's/:[0-9]+\/\?token=[0-9a-f]{32}$/:PORT\/?token=TOKEN/' url
port=$(sed -E 's/.*:([0-9]+)\/.*/\1/' url)
run evenkeel review RUN --samples rare --name other --port "$port" --quiet | sed 's/port [0-9]*/port N/'
kill -INT $server
wait $server
echo "the server ended with $?"
cat said
run tail -c 30 RUN/reviews/rare.jsonl

# Labels that are doubted: a log by hand, the summary, and the table that follows.
cp photos/bar/00006.png photos/disc/x.png
cp photos/disc/00000.png photos/bar/x.png
cp photos/disc/00001.jpg photos/bar/y.jpg
printf 'file_name,colour,size\ndisc/x.png,"red, dark",3.5\nbar/y.jpg,blue,\n' >attributes.csv
run evenkeel audit photos -o LABELS --encoder pixels --clusters 3 --attributes attributes.csv --quiet --json >/dev/null
run evenkeel score LABELS --method label-errors --name wrong --quiet >/dev/null
cut -d , -f 1,3,4 LABELS/scores/wrong.csv
run evenkeel review LABELS --labels right --summary
run evenkeel score LABELS --method distance --name far --quiet --json >/dev/null
run evenkeel review LABELS --labels far --summary
run evenkeel review LABELS --labels wrong --samples rare --summary
mkdir LABELS/label-reviews
id() {
	grep -F "\"$1\"" LABELS/images.jsonl | sed -E 's/.*"id": ?([0-9]+).*/\1/'
}
label() {
	printf '{"sample": %s, "decision": "%s", "note": "", "reviewer": "%s", "time": "2026-11-25T19:00:00Z", "given": "%s"%s}\n' "$(id "$1")" "${@:2:3}" "${5:+, \"label\": \"$5\"}"
}
{
	label disc/x.png reject Anna disc bar
	label bar/x.png reject Anna bar
	label bar/y.jpg accept Anna bar
	label bar/y.jpg reject Ben bar disc
	label bar/00006.png reject Ben disc bar # another label than it has
} >LABELS/label-reviews/wrong.jsonl
run evenkeel review LABELS --labels wrong --summary
run evenkeel review LABELS --labels wrong --summary --json --quiet | sed 's/"size": [0-9]*/"size": N/g'
run evenkeel review LABELS --labels wrong --export corrected.csv --quiet
grep -e x.png -e y.jpg -e 00006 corrected.csv
run evenkeel review LABELS --labels wrong --export corrected.csv --quiet
run evenkeel info LABELS/label-reviews/wrong.jsonl
head -n 1 corrected.csv
run evenkeel audit LABELS --attributes corrected.csv --quiet --json >/dev/null
run evenkeel prune LABELS --method random --keep 1 --by corrected_label --name clean --quiet | head -n 2
