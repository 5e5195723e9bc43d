@main[]
$sum(0)
$table[^hash::create[]]
^for[i](1;20000){
  $table.[k$i][value $i and more]
  $sum($sum + $i)
}
sum $sum
count ^table._count[]
$text[]
^for[i](1;500){$text[${text}$i,]}
length ^text.length[]
upper ^text.upper[]
