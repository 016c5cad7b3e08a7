# cases_logits.sh - scores, as lines and as NumPy files.

prompt="The old man went"

begin "the best ten"
run 0 logits -m "$model" -p "$prompt"
[ "$(wc -l < out)" -eq 10 ] || wrong "not 10 lines"
awk '{ print $3 }' out > scores
sort -rn scores | cmp -s - scores || wrong "not in order"
cp out best

begin "ids instead of text"
run 0 tokenize -m "$model" --ids -p "$prompt"
ids=$(tr ' ' , < out)
n=$(count $(cat out))
run 0 logits -m "$model" --ids "$ids"
out_same best

begin "after every token"
run 0 logits -m "$model" -p "$prompt" --all --top 3
[ "$(wc -l < out)" -eq $((3 * n)) ] || wrong "not 3 lines a token"

begin "the greedy choice is the first"
gen 0 -p "$prompt" -n 1 --json
[ "$(json_list ids)" = "$(awk 'NR == 1 { print $2 }' best)" ] || wrong "another token"

begin "NumPy files"
run 0 info -m "$model" --json
row=$((4 * $(json_number n_vocab)))
run 0 logits -m "$model" -p "$prompt" -o last.npy
out_empty
run 0 logits -m "$model" -p "$prompt" --all -o all.npy
[ "$(wc -c < last.npy)" -eq $((128 + row)) ] || wrong "size of last.npy"
[ "$(wc -c < all.npy)" -eq $((128 + n * row)) ] || wrong "size of all.npy"
header="{'descr': '<f4', 'fortran_order': False, 'shape': ($n, $((row / 4))), }"
head -c 128 all.npy | grep -qaF "$header" || wrong "header"
tail -c $row last.npy > a
tail -c $row all.npy > b
cmp -s a b || wrong "the last row differs"

begin "files that cannot be written"
fails "no/such/dir.npy" logits -m "$model" -p "$prompt" -o no/such/dir.npy
if [ -w /dev/full ]; then
    ln -s /dev/full full.npy
    fails "full.npy" logits -m "$model" -p "$prompt" -o full.npy
    [ -L full.npy ] || wrong "the link is gone"
fi

begin "what was there stays until the new file is whole"
echo old > kept.npy
fails "100000000" logits -m "$model" --ids 1,100000000 -o kept.npy
[ "$(cat kept.npy)" = old ] || wrong "an existing file is gone"
ln -s kept.npy link.npy
chmod 600 kept.npy
run 0 logits -m "$model" -p "$prompt" -o link.npy
[ -L link.npy ] || wrong "the link is gone"
cmp -s kept.npy last.npy || wrong "not written through the link"
[ "$(ls -l kept.npy | cut -c1-10)" = -rw------- ] || wrong "other permissions"
ln -s nowhere.npy lost.npy
run 0 logits -m "$model" -p "$prompt" -o lost.npy
cmp -s nowhere.npy last.npy || wrong "not written through a link to nothing"
mkfifo pipe.npy
cat pipe.npy > read.npy &
run 0 logits -m "$model" -p "$prompt" -o pipe.npy
wait $!
[ -p pipe.npy ] || wrong "the FIFO is gone"
cmp -s read.npy last.npy || wrong "not written into the FIFO"
mkdir folder.npy
fails "folder.npy" logits -m "$model" -p "$prompt" -o folder.npy
ls | grep -q '\.tmp$' && wrong "a temporary file is left"

begin "id outside the vocabulary"
fails "100000000" logits -m "$model" --ids 1,100000000
