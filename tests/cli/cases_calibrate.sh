# cases_calibrate.sh - bamba calibrate, and rounding by what it wrote.

for i in 1 2 3 4 5 6 7 8; do
    echo "Once upon a time there was a king who had $i daughters, and the youngest of them was so" \
        "fair that"
    echo "the sun itself, which has seen so much, wondered each time it shone upon her face." \
        "$i was the number."
done > text
cat text text text text text text text text > long

begin "calibrate"
run 0 calibrate -m "$model" -f long -o seen
out_empty
[ ! -s err ] || wrong "says: $(head -c 200 err)"
gen 0 -p "Once upon" -n 20 --type q4
cp out plain
gen 0 -p "Once upon" -n 20 --type q4 --calibration seen
cp out expected
run 0 quantize -m "$model" -o q4 --type q4 --calibration seen
run 0 generate -m q4 --temp 0 -t 1 --repeat-penalty 1 --no-display-prompt -p "Once upon" -n 20
out_same expected
rm -r q4

begin "calibrate with feedback, by its own text"
run 0 calibrate -m "$model" -o own --chunks 1 --feedback
[ "$(wc -c < own)" -gt "$(($(wc -c < seen) * 60))" ] || wrong "no more bytes"
gen 0 -p "Once upon" -n 4 --type q4 --calibration own

begin "calibrate with too little"
echo few > few
fails "few: expected at least 1024 tokens, two chunks, found" calibrate -m "$model" -f few -o new
! grep -q -e "-c N" err || wrong "recommends -c, which it has not"

begin "calibrate without a word"
wrong_use "-o FILE" calibrate -m "$model" -f long
fails "expected at least 1024 tokens" calibrate -m "$model" -f text -o new
[ ! -e new ] || wrong "made a file"

begin "a calibration that is none"
fails "text" generate -m "$model" -p a -n 1 --type q4 --calibration text
fails "nowhere" generate -m "$model" -p a -n 1 --type q4 --calibration nowhere
rm seen own long text
