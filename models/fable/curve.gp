# curve.gp - the learning curve of the card: `gnuplot curve.gp` reads curve.csv, writes curve.svg.
set terminal svg size 760,380 dynamic background rgb 'white' font 'sans-serif,13'
set output 'curve.svg'
set datafile separator ','
set key top right
set xlabel 'tokens seen in this run, millions'
set ylabel 'nats a token'
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
plot 'curve.csv' skip 2 using ($2/1e6):6 with lines lc rgb '#7aa6c2' lw 1.5 title 'training, means of 25 steps or fewer', \
     'curve.csv' skip 2 using ($2/1e6):7 with linespoints lc rgb '#b03a2e' lw 2 pt 7 ps 0.5 title 'held-out prose, rows of 256'
