# shellcheck shell=bash
# Options that say nothing without another are refused, before anything is done; so are two that say the same.
make_images images 24 >/dev/null
evenkeel audit images -o run --encoder pixels --clusters 2 --seeds 1 --quiet >/dev/null
echo a >words.txt
run evenkeel cluster run --text-weights words.txt
run evenkeel cluster run --hierarchy 8,2 --clusters 2
run evenkeel audit run --encoder pixels --embeddings run/embeddings.npy
run evenkeel weights run --scheme inverse --normalise --name w
run evenkeel weights run --scheme inverse --by cluster --ess 0.4 --name w
run evenkeel balance run --total 10 --normalise --name b
run evenkeel export run --subset s -o out --as tar --link
run evenkeel export run --subset s -o out --as list --by cluster
vae() { run evenkeel train vae run --name v --dry-run --steps 3 "$@"; }
vae --codes 5
vae --kind vq --kl 1
vae --codebook-averages
vae --perceptual-weights words.txt
vae --discriminator-start 5
flow() { run evenkeel train flow run --name f --space pixel --dry-run --steps 3 "$@"; }
flow --draws 2
flow --drop 0.5
flow --loss likelihood
flow --objective diffusion --path vp
flow --weights a --loss-weights b
run evenkeel generate run --model m --name g --rtol 0.1
run evenkeel generate run --model m --name g --guidance-channels 3
sweep() { run evenkeel sweep run --methods random --keeps 0.5 --steps 2 --space pixel --dry-run "$@"; }
sweep --score-steps 20
sweep --train '--draws 2'
sweep --train '--width 3'
run evenkeel review run --samples g --summary --port 80
echo '# a run that is none is told once'
run evenkeel review NOWHERE --labels x
run evenkeel review images --labels x --summary
run evenkeel review NOWHERE --samples x
