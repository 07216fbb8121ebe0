from app.web.pages.rendering.environment import MAX_KEPT, environment

SOURCE = """{% macro part(name, loud) %}{{ draw(name) }}{{ "!" if loud }}{% endmacro %}\
{{ part|kept(name, true) }}{{ part|kept(name, false) }}{{ part|kept(name, true) }}"""


def test_a_part_is_drawn_once_for_the_same_arguments_and_stays_escaped() -> None:
    drawn: list[str] = []

    def draw(name: str) -> str:
        drawn.append(name)
        return name

    template = environment("en").from_string(SOURCE, {"draw": draw})
    assert template.render(name="<kept>") == "&lt;kept&gt;!&lt;kept&gt;&lt;kept&gt;!"
    assert drawn == ["<kept>"] * 2
    assert template.render(name="other") == "other!otherother!"
    assert drawn == ["<kept>"] * 2 + ["other"] * 2


def test_parts_that_never_come_again_do_not_fill_the_memory() -> None:
    created = environment("fr")
    template = created.from_string(
        "{% macro number_of(n) %}{{ n }}{% endmacro %}{% for n in range(count) %}{{ number_of|kept(n) }}{% endfor %}"
    )
    template.render(count=2 * MAX_KEPT + 10)
    assert len(created.filters["kept"]) <= MAX_KEPT
