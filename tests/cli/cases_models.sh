# cases_models.sh - models found by name: beside the program, and in the cache of huggingface_hub.

folder=hub/models--Some-Org--a.model
mkdir -p $folder/refs $folder/snapshots/new $folder/snapshots/old
for file in "$model"/*; do ln -s "$file" $folder/snapshots/new/; done
printf new > $folder/refs/main
touch $folder/snapshots/old
run 0 info -m "$model"
cp out expected

begin "a name of the cache"
HF_HUB_CACHE=$PWD/hub "$bamba" info -m Some-Org/a.model > out 2> err || wrong "HF_HUB_CACHE"
out_same expected
mkdir -p hf home/.cache/huggingface
ln -s ../hub hf/hub
HF_HOME=$PWD/hf "$bamba" info -m Some-Org/a.model > out 2> err || wrong "HF_HOME"
out_same expected
ln -s ../../../hub home/.cache/huggingface/hub
run 0 info -m Some-Org/a.model
out_same expected
BAMBA_MODEL=Some-Org/a.model "$bamba" info > out 2> err || wrong "BAMBA_MODEL"
out_same expected
run 0 tokenize -m Some-Org/a.model -p x

begin "a folder of the cache"
run 0 info -m $folder
out_same expected

mkdir -p trained/snapshots/step
for file in "$model"/*; do ln -s "$file" trained/; done
run 0 info -m trained
out_same expected
rm -r trained

begin "without refs/main the newest"
rm $folder/refs/main
touch -d 2001-01-01 $folder/snapshots/old
run 0 info -m Some-Org/a.model
out_same expected

begin "a name that is not there"
fails "hf download Some-Org/other" info -m Some-Org/other
fails "no such directory" info -m nowhere
fails "no such directory" generate -m ./some/where -p x

begin "a directory of that name comes first"
mkdir -p Some-Org/a.model
fails "Some-Org/a.model" info -m Some-Org/a.model
rm -r Some-Org

begin "bamba models"
mkdir -p hub/models--x--unknown/snapshots/1 hub/datasets--x--y/snapshots/1
echo '{"model_type": "unheard-of"}' > hub/models--x--unknown/snapshots/1/config.json
BAMBA_MODEL=$model
export BAMBA_MODEL
run 0 models
grep -q "^Some-Org/a.model  *[0-9.]* MiB  [a-z0-9]*$" out || wrong "no line of the model"
grep -q "^x/unknown .*cannot be used" out || wrong "no line of the unknown one"
grep -qF "$model" out || wrong "no line of the one used without -m"
[ "$(wc -l < out)" -eq 3 ] || wrong "not three lines"
run 0 models -v
err_has "unheard-of"
run 0 models --names
printf '%s\nSome-Org/a.model\nx/unknown\n' "$model" > expected
out_same expected
[ ! -s err ] || wrong "stderr is not empty"
unset BAMBA_MODEL
rm -rf hub hf home

begin "models and shapes beside a build"
models=$(dirname "$bamba")/models
if [ -d "$models" ]; then                 # a build folder has them, wherever it lies
    mkdir -p elsewhere
    cp "$bamba" elsewhere/
    cp -P "$models" elsewhere/
    elsewhere/bamba info > out 2> err || wrong "no model"
    elsewhere/bamba models --shapes > out 2> err
    out_has hybrid-1b
    rm -rf elsewhere
fi
