# shellcheck shell=bash
# Views, whitened components, weights of single images.
make_images photos 120
run evenkeel audit photos -o RUN --encoder pixels --clusters 5 --quiet --json >/dev/null
run evenkeel embed RUN --views 3 --quiet
cp -r RUN/components before
run evenkeel embed RUN --views 3 --threads 3 --force --quiet --json >/dev/null
cmp RUN/components/axes.npy before/axes.npy && cmp RUN/components/mean.npy before/mean.npy && echo "the same for any threads"
run evenkeel weights RUN --scheme design --name rare --quiet
run evenkeel weights RUN --scheme vendi --ess 0.9 --by label --name diverse --quiet
run evenkeel draw RUN --weights rare --count 5 --quiet
run evenkeel weights RUN --scheme design=3 --name x
run evenkeel weights RUN --scheme design --ess 2 --name x
# The components of another seed are others, and so are the weights.
run evenkeel embed RUN --seed 7 --quiet
run evenkeel draw RUN --weights rare --count 5 --quiet
# Own embeddings have no views.
make_arrays narrow RUN/embeddings.npy own.npy
evenkeel audit own.npy -o OWN --clusters 4 --views 3 2>&1 >/dev/null | grep spread
run evenkeel weights OWN --scheme design --name rare --quiet --json >/dev/null && grep -o '"whitened_by":.*' OWN/components/components.json
