import threading

import matplotlib
from matplotlib.figure import Figure

from belief_tools.svg import as_svg, coarsened, page_style


def test_who_draws_a_page_s_pictures_draws_alone():
    entered, leave, order = threading.Event(), threading.Event(), []

    def first():
        with page_style():
            entered.set()
            leave.wait(10)
            order.append("first")

    def second():
        entered.wait(10)
        with page_style():
            order.append("second")

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    threads[1].join(0.2)
    assert threads[1].is_alive() and order == []
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


def test_the_settings_are_as_before_when_all_have_drawn():
    before = dict(matplotlib.rcParams)
    drawn = []

    def draw():
        with page_style():
            figure = Figure()
            figure.subplots().plot([1.0, 2.0, 1.5])
            drawn.append(as_svg(figure, "one"))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(drawn) == 4 and len(set(drawn)) == 1
    assert dict(matplotlib.rcParams) == before


def test_only_points_on_the_way_along_a_level_line_are_left_out():
    def path(*points):
        steps = [f"{'L' if i else 'M'} {x} {y} " for i, (x, y) in enumerate(points)]
        return '<path d="{}\n"/>'.format("\n".join(steps))

    there_and_back = path((0, 5), (9, 5), (3, 5), (3, 6))
    assert coarsened(there_and_back) == there_and_back
    assert coarsened(path((0, 5), (4, 5), (9, 5), (9, 6))) == path((0, 5), (9, 5), (9, 6))
    backwards = path((9, 5), (4, 5), (0, 5), (0, 6))
    assert coarsened(backwards) == path((9, 5), (0, 5), (0, 6))
    slanting = path((0, 0), (1, 1), (2, 2))
    assert coarsened(slanting) == slanting


def test_nothing_but_paths_is_coarsened():
    kept = '<g id="x.123456"/><text x="1.23456" transform="scale(0.123)">d="M 1.2345"</text>'
    assert coarsened(kept) == kept
