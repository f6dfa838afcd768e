# shellcheck shell=bash
# What is not ours is left alone: other programs' locks and records, what links lead to, a user's files among results.
make_images photos 40
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null

# A folder is a run if it says so.
mkdir project && echo 'pinned by hand' >project/.lock && echo mine >project/report.html
run evenkeel audit photos -o project --encoder pixels --clusters 3 --quiet
run cat project/.lock project/report.html
mkdir jobs && echo '{"steps": []}' >jobs/run.json
run evenkeel audit photos -o jobs --encoder pixels --quiet
run evenkeel report jobs
run cat jobs/run.json
echo 4711 >photos/.lock
run evenkeel audit photos
run cat photos/.lock
rm photos/.lock
# As older versions left it, and copied without its lock; a run killed at its first breath.
echo 4711 >RUN/.lock
run evenkeel audit RUN --quiet | head -2
cp -r RUN photos/copy && rm photos/copy/.lock
run evenkeel scan photos -o NEW | grep images
rm -r photos/copy
mkdir begun && touch begun/.lock
run evenkeel scan photos -o begun --quiet | grep images

# Links inside a run: nothing is written through them.
mkdir outside && echo precious >outside/victim
fresh() {
	rm -rf R && cp -r RUN R && ln -s "$PWD/outside$1" "R/$2"
}
fresh /victim report.html.tmp
run evenkeel report R --force --quiet
fresh /victim embeddings.npy.partial
run evenkeel embed R --force --quiet | grep -v bytes
mkdir -p RUN/subsets
fresh '' subsets/.half.new
run evenkeel prune R --method nearest --keep 0.5 --name half --quiet | grep subset
rm RUN/.lock
fresh /victim .lock
run evenkeel report R --force
rm -rf R && cp -r RUN R && rm -r R/clusters && ln -s ../outside R/clusters
run evenkeel cluster R --clusters 2 --quiet
run find outside -mindepth 1
run cat outside/victim
ln -s R through && rm R/clusters
run evenkeel cluster through --clusters 2 --quiet | grep -c .

# What cannot be told is not taken for absence.
rm -rf R && cp -r RUN R && mv R/run.json kept.json && ln -s run.json R/run.json
run evenkeel cluster R --clusters 2
run readlink R/run.json
# What never ends is not waited for.
rm R/run.json && cp kept.json R/run.json && rm R/audit.json && mkfifo R/audit.json
run timeout 10 evenkeel report R --quiet

# A user's files among results.
run evenkeel prune RUN --method nearest --keep 0.5 --name half --quiet | grep subset
echo mine >RUN/subsets/half/notes.txt
run evenkeel prune RUN --method nearest --keep 0.4 --name half --quiet
run ls -A RUN/subsets RUN/subsets/half
mkdir moved && mv RUN/subsets/half/notes.txt moved/ && mkdir RUN/subsets/half/plots
run evenkeel prune RUN --method nearest --keep 0.4 --name half --quiet
rmdir RUN/subsets/half/plots
run evenkeel prune RUN --method nearest --keep 0.4 --name half --quiet | grep subset
run evenkeel export RUN --subset half -o exported --quiet
rm "$(find exported -type l | sort | head -1)" && cp moved/notes.txt exported/
run evenkeel export RUN --subset half -o exported --force --quiet
run cat exported/notes.txt
