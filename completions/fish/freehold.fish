# fish completion for freehold; installed as share/fish/vendor_completions.d/freehold.fish

complete -c freehold -f
complete -c freehold -n __fish_use_subcommand -l help -s h -d 'Show help'
complete -c freehold -n __fish_use_subcommand -l version -s V -d 'Show the version'
complete -c freehold -n __fish_use_subcommand -a run -d 'Run a program on Freehold and tell what its memory did'
complete -c freehold -n __fish_use_subcommand -a which -d 'Tell which allocator a process really uses'
complete -c freehold -n __fish_use_subcommand -a leaks -d 'Find memory that a process has lost'
complete -c freehold -n __fish_use_subcommand -a doctor -d 'Tell what on this machine will bite'
complete -c freehold -n __fish_use_subcommand -a gc -d 'Run a program of the Boehm collector on Freehold'

complete -c freehold -n '__fish_seen_subcommand_from run' -s j -l json -r -F -d 'Write all numbers as JSON'
complete -c freehold -n '__fish_seen_subcommand_from run' -s q -l quiet -d 'Say nothing unless something is wrong'
complete -c freehold -n '__fish_seen_subcommand_from run' -s o -l options -x -d 'Options of the library'
complete -c freehold -n '__fish_seen_subcommand_from run' -l help -d 'Show help'
complete -c freehold -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand)'

complete -c freehold -n '__fish_seen_subcommand_from which' -s j -l json -d 'Write everything found as JSON'
complete -c freehold -n '__fish_seen_subcommand_from which' -l help -d 'Show help'
complete -c freehold -n '__fish_seen_subcommand_from which' -a '(__fish_complete_pids)'

complete -c freehold -n '__fish_seen_subcommand_from leaks' -s j -l json -d 'Write everything found as JSON'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -l suppress -r -F -d 'Do not tell of the groups that FILE names'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -l reachable -d 'List also what can be reached'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -l copy -d 'Stop the process while it is copied'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -l scratch -r -F -d 'Keep the copy in a file there'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -l help -d 'Show help'
complete -c freehold -n '__fish_seen_subcommand_from leaks' -F -a '(__fish_complete_pids)'

complete -c freehold -n '__fish_seen_subcommand_from doctor' -s j -l json -d 'Write all findings as JSON'
complete -c freehold -n '__fish_seen_subcommand_from doctor' -l help -d 'Show help'

complete -c freehold -n '__fish_seen_subcommand_from gc' -s q -l quiet -d 'Write no summary'
complete -c freehold -n '__fish_seen_subcommand_from gc' -l help -d 'Show help'
complete -c freehold -n '__fish_seen_subcommand_from gc' -a 'run (__fish_complete_subcommand)'
