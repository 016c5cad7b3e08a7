# cases_perplexity.sh - the score of a text.

i=0
while [ $i -lt 30 ]; do
    echo "Once upon a time there was a fox who lived in a wood near the king's castle ($i)."
    i=$((i + 1))
done > long.txt

begin "perplexity"
run 0 perplexity -m "$model" -f long.txt -c 64
out_has "[1]"
out_has "[2]"
out_has "Final estimate: PPL = "
out_has "nats per token"
cp out whole

begin "the first chunks"
run 0 perplexity -m "$model" -f long.txt -c 64 --chunks 2 -t 2
first=$(sed -n 's/^\(\[1\][^,]*,\[2\][^,]*\),.*/\1/p' whole)
[ "$(sed -n 's/^\(\[1\].*\),$/\1/p' out)" = "$first" ] || wrong "other numbers"
out_has "PPL = ${first##*]} +/-"
out_has "62 tokens scored"

begin "too short"
fails "expected at least 1024 tokens" perplexity -m "$model" -f prompt.txt
fails "no-such" perplexity -m "$model" -f no-such
