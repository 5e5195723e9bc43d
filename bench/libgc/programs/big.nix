# Attribute sets in lists: 1.2 million that stay until the end, and as many that do not.
let
  row = i: { name = "row-${toString i}"; value = i; next = { a = i; b = [ i (i + 1) ]; }; };
  kept = builtins.genList row 1200000;
  sum = builtins.foldl' (s: r: s + r.next.a + builtins.stringLength r.name) 0;
  churn = builtins.foldl' (s: i: s + (row i).next.a + builtins.length (builtins.attrNames (row i))) 0;
in
  [ (sum kept) (churn (builtins.genList (i: i) 1200000)) (builtins.length (builtins.filter (r: r.value > 5) kept)) ]
