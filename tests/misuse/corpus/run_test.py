#!/usr/bin/env python3
"""What could break in run.py: an outcome is mistaken for another, an expectation lets pass what it must
not, a preload without effect goes unseen. The corpus here is a script that does what it is told."""

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run  # noqa: E402

# Case ids are what the script does: it looks itself up here.
FAKE = """#!/bin/sh
case $1 in
list) printf 'A01\\texploit\\tt\\tg\\nA02\\texploit\\tt\\tg\\nA03\\texploit\\tt\\tg\\nA04\\thygiene\\tt\\tg\\n'
      printf 'B01\\texploit\\tt\\tg\\nB02\\texploit\\tt\\tg\\nL01\\tlegal\\tt\\t-\\n' ;;
where) echo /lib/libc.so.6 ;;
A01) echo 'bad thing' >&2; kill -ABRT $$ ;;
A02) kill -SEGV $$ ;;
A03) echo 'GOAL got it'; echo 'DONE A03' ;;
A04) echo 'GOAL got it'; echo 'too late' >&2; kill -ABRT $$ ;;
B01) echo 'DONE B01' ;;
B02) sleep 600 ;;
L01) echo 'PASS L01' ;;
esac
"""


def runs(*outcomes, message=""):
    return [run.Run(outcome, message, "") for outcome in outcomes]


class Classify(unittest.TestCase):
    def check(self, expected, said, errors, status, timed_out=False, kind="exploit"):
        self.assertEqual(run.classify(kind, said, errors, status, timed_out), expected)

    def test_message_before_the_goal(self):
        self.check("detected", "", "double free\n", -signal.SIGABRT)
        self.check("detected", "", "report\n", -signal.SIGSEGV)
        self.check("detected", "", "==1==ERROR", 1)

    def test_message_on_stdout(self):
        self.check("detected", "[ABORTING] double free\n", "", -signal.SIGABRT)

    def test_end_without_a_message(self):
        self.check("stopped", "", "", -signal.SIGSEGV)
        self.check("stopped", "", "", -signal.SIGBUS)
        self.check("stopped", "", " \n", -signal.SIGABRT)

    def test_goal(self):
        self.check("silent", "GOAL x\nDONE A01\n", "", 0)
        self.check("silent", "GOAL x\n", "", 0)
        self.check("late", "GOAL x\n", "corrupted\n", -signal.SIGABRT)
        self.check("late", "GOAL x\n", "", -signal.SIGSEGV)
        self.check("late", "GOAL x\n", "", -signal.SIGKILL, True)
        self.check("silent", "GOAL x\nREFUSED malloc\n", "", 76)

    def test_no_goal(self):
        self.check("harmless", "DONE A01\n", "", 0)
        self.check("harmless", "DONE A01\n", "a warning\n", 0)
        self.check("hang", "", "", -signal.SIGKILL, True)
        self.check("missing", "MISSING free_sized\n", "", 77)
        self.check("refused", "REFUSED malloc\n", "", 76)
        # A case that came to no end that we know of proves nothing.
        self.check("refused", "", "", 0)

    def test_a_word_of_ours_within_a_line_is_none(self):
        self.check("detected", "no GOAL here\n", "", -signal.SIGABRT)

    def test_legal(self):
        self.check("passed", "PASS L01\n", "", 0, kind="legal")
        self.check("warned", "PASS L01\n", "suspicious\n", 0, kind="legal")
        self.check("broken", "PASS L01\n", "at exit\n", -signal.SIGABRT, kind="legal")
        self.check("broken", "BROKEN x\n", "", 1, kind="legal")
        self.check("broken", "", "", 0, kind="legal")
        self.check("broken", "", "", -signal.SIGKILL, True, kind="legal")


class Shares(unittest.TestCase):
    def test_protected(self):
        self.assertEqual(run.protected(runs("detected", "stopped", "harmless")), 1)
        self.assertEqual(run.protected(runs("late", "silent", "hang")), 0)
        self.assertEqual(run.protected(runs("detected", "silent", "missing", "refused")), 0.5)
        self.assertIsNone(run.protected(runs("missing")))


class Expect(unittest.TestCase):
    def setUp(self):
        file = tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False)
        file.write("# a comment\n*   *  silent\nA*  *  detected  ^freehold: .*\nA02 strict stopped|harmless # late\n")
        file.close()
        self.addCleanup(os.unlink, file.name)
        self.path = file.name
        self.lines = run.read_expected(file.name)

    def check(self, case, level, made):
        line = run.expected_for(self.lines, run.Case(case, "exploit", "", ""), level)
        return run.unexpected(line, made)

    def test_last_line_that_fits(self):
        self.assertIsNone(self.check("B01", "light", runs("silent")))
        self.assertIsNone(self.check("A02", "strict", runs("stopped", "harmless")))
        self.assertIsNotNone(self.check("A02", "light", runs("stopped")))

    def test_every_run_counts(self):
        self.assertIsNotNone(self.check("A02", "strict", runs("stopped", "silent")))

    def test_pattern(self):
        self.assertIsNone(self.check("A01", "light", runs("detected", message="freehold: write")))
        self.assertIsNotNone(self.check("A01", "light", runs("detected", message="other: write")))

    def test_nothing_expected(self):
        self.assertIsNotNone(run.unexpected(None, runs("detected")))

    def test_outcome_that_does_not_exist(self):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("C01 * detcted\n")
        with self.assertRaises(SystemExit):
            run.read_expected(self.path)


class FakeCorpus(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.corpus = os.path.join(folder.name, "corpus")
        with open(self.corpus, "w", encoding="utf-8") as file:
            file.write(FAKE)
        os.chmod(self.corpus, 0o755)

    def test_outcomes(self):
        cases = run.read_cases(self.corpus, "")
        options = argparse.Namespace(jobs=2, runs=2, limit=1)
        glibc = run.Under("glibc", "", {})
        results = run.run_all(self.corpus, [glibc], cases, options)
        seen = {case.id: {one.outcome for one in results["glibc", case.id]} for case in cases}
        self.assertEqual(seen, {"A01": {"detected"}, "A02": {"stopped"}, "A03": {"silent"}, "A04": {"late"},
                                "B01": {"harmless"}, "B02": {"hang"}, "L01": {"passed"}})
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            run.print_summary(results, [glibc], cases)
            unreached = run.print_unreached(results, [glibc], cases)
        self.assertIn("33/33/0/0/33", said.getvalue())
        self.assertIn("1 of 1 legal programs pass", said.getvalue())
        self.assertEqual(unreached, 4)

    def test_preload_without_effect(self):
        self.assertIsNone(run.takes_effect(self.corpus, run.Under("glibc", "", {})))
        self.assertIsNotNone(run.takes_effect(self.corpus, run.Under("other", "/nonexistent.so", {})))

    def test_under(self):
        under = run.parse_under("mine=%s A=1 B=x=y" % self.corpus)
        self.assertEqual(under, run.Under("mine", self.corpus, {"A": "1", "B": "x=y"}))
        with self.assertRaises(argparse.ArgumentTypeError):
            run.parse_under("mine=/nonexistent.so")


if __name__ == "__main__":
    unittest.main()
