# What an evaluation asks of the collector: attribute sets, lists, strings, closures.
let
  range = builtins.genList (i: i) 20000;
  sum = builtins.foldl' (a: b: a + b) 0;
  set = builtins.listToAttrs (map (i: { name = "k${toString i}"; value = i * 2; }) range);
  fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
in {
  sum = sum range;
  names = builtins.length (builtins.attrNames set);
  values = sum (builtins.attrValues set);
  fib = fib 22;
  text = builtins.stringLength (builtins.concatStringsSep "," (map toString range));
  sorted = builtins.elemAt (builtins.sort (a: b: a > b) range) 5;
  json = builtins.stringLength (builtins.toJSON set);
}
