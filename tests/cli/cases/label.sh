# shellcheck shell=bash
# Labels without their page: what is asked wrongly, what the log comes to, and what is exported.
make_images photos 40
run evenkeel label photos
run evenkeel label
evenkeel scan photos -o RUN --quiet >/dev/null
run evenkeel label RUN --quiet
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null
run evenkeel label RUN --summary
run evenkeel label RUN --name ../x --quiet
run evenkeel label RUN --groups cat,dog --quiet
run evenkeel label RUN --person '' --quiet
run evenkeel label RUN --person Anna --groups 'cat,' --quiet

# A log by hand: two people, a new name, an undo, a damaged line, and a line that a kill cut short.
rm -rf RUN/labels
mkdir RUN/labels
says() {
	printf '{"images": %s, "group": %s, "by": "%s", "time": "2026-11-25T19:00:00Z"}\n' "$@"
}
{
	says '[0, 1, 2]' '"cat"' Anna
	says '[3, 4]' '"a \"dog\""' Anna
	says '[4]' null Ben
	says '[5]' null Ben
	says '[6]' '"cat"' Ben
	echo '{"undo": true, "by": "Ben", "time": "2026-11-25T19:00:00Z"}'
	echo 'a line of an editor'
	echo '{"rename": "cat", "to": "kitten", "by": "Ben", "time": "2026-11-25T19:00:00Z"}'
	printf '{"images": [7'
} >RUN/labels/groups.jsonl
run evenkeel label RUN --summary
run evenkeel label RUN --summary --json --quiet
run evenkeel label RUN --export labels.csv --quiet
run cat labels.csv
run evenkeel label RUN --export RUN/run.json --quiet
run evenkeel label RUN --export RUN/mine.csv --quiet
run evenkeel info RUN/labels/groups.jsonl
echo 'says nothing' >RUN/labels/empty.jsonl
run evenkeel label RUN --name empty --export labels.csv --quiet
run cat labels.csv
# Zeros, as a power cut leaves them: they are told of, not taken for no labels.
head -c 300 /dev/zero >RUN/labels/zeros.jsonl
run evenkeel label RUN --name zeros --summary
run evenkeel label RUN --name zeros --export labels.csv --quiet
run evenkeel info RUN/labels/zeros.jsonl
