"""What a test's report says, and that nothing of it is fetched or obeyed."""

import json
import re

from firstlight.fleet import results
from firstlight.fleet.cycle import Cycle, Outcome, Subject
from firstlight.fleet.record import Mode, Plan
from firstlight.fleet.verify import Leg
from firstlight.report.pods import page as html, trial
from firstlight.report.style import PLAIN, Style

HOSTILE = '<script src="//evil"></script>\x1b[2J"><img onerror=x>'


def found(*outcomes, words=HOSTILE):
    subject = Subject(id="p1", name=HOSTILE, gpu="L4", gpu_count=1, hourly=1.0, was_running=True)
    plan = Plan(
        id="a",
        made_at="2026-11-24T08:00:00.000Z",
        made_by="0",
        mode=Mode.STOP_START,
        cycles=len(outcomes),
        cap=5.0,
        expected=1.0,
        ssh=True,
        keep_running=False,
        min_cuda=None,
        subjects=(subject,),
    )
    legs = (
        Leg(name="start", began=0.0, seconds=1.0, ok=True, words=words),
        Leg(name="ready", began=1.0, seconds=9.0, ok=True, words=words),
    )
    lines = [
        Cycle(
            pod="p1", number=n, instance="p1", began_at=plan.made_at, outcome=outcome, words=words, legs=legs, gpus=(words,), driver=words
        )
        for n, outcome in enumerate(outcomes, 1)
    ]
    return results.count(plan, lines, made_at=plan.made_at, ended=None)


def test_the_page_fetches_nothing_and_holds_foreign_text_as_text():
    page = html.render(found(Outcome.PROVEN, Outcome.CUDA_ILL, Outcome.PROVEN))
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "url(" not in page
    assert "default-src 'none'" in page.replace("&#x27;", "'")


def test_the_text_obeys_nobody_and_keeps_its_width():
    text = trial.render(found(Outcome.PROVEN, Outcome.REFUSED), PLAIN)
    assert "\x1b" not in text
    assert "1 of 2 cold starts proven" in text
    assert "between 9 % and 91 %" in text
    assert trial.render(found(Outcome.REFUSED), Style(unicode=False)).isascii()


def test_the_json_is_plain_json():
    told = json.loads(json.dumps(trial.plain(found(Outcome.PROVEN, Outcome.ZERO_GPU))))
    assert told["total"]["outcomes"] == {"proven": 1, "zero-gpu": 1}
    assert told["total"]["given"] == 1
    assert told["cycles"][0]["to_ready"] == 10.0
    assert told["cycles"][1]["to_ready"] is None


def test_all_but_one_is_not_all():
    assert trial.percent(999 / 1000) == "99 %"
    assert trial.percent(1.0) == "100 %"
    assert trial.percent(0.0) == "0 %"
