"""Templates: Ansible's behaviour, its errors in plain words, and bounds that hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import FileError
from shipyard.files.inventory import load
from shipyard.files.jinja import Place, Unsafe, bounds, host_variables, is_template, render
from shipyard.files.values import Vaulted
from shipyard.files.yamldoc import load_one

WHERE = Place("play.yml", 3)
VARIABLES: dict[str, Any] = {
    "port": 8080,
    "name": "web",
    "yes": True,
    "none": None,
    "app": {"port": "{{ port }}", "home": "/srv/{{ app.user }}", "user": "{{ name }}", "list": ["{{ port }}", 2]},
    "items": ["{{ port }}", "b", "{{ name }}"],
    "alias": "{{ app }}",
    "unfit": "{{ nope }}",
    "unfit_deep": "x{{ unfit }}",
    "raw": Unsafe("{{ port }}"),
    "odd": {"update": 1, "items": 2, "keys": 3},
    "one": "{{ two }}",
    "two": "{{ three.x }}",
    "three": {"x": "{{ one }}"},
    "broken": "{{ port",
    "secret": Vaulted("61"),
    "text": "a-b-c",
    "users": [{"n": "a", "g": 1}, {"n": "b", "g": 2}, {"n": "c", "g": 1}],
}


def made(value: Any, **more: Any) -> Any:
    return render(value, {**VARIABLES, **more}, where=WHERE)


def said(value: Any, **more: Any) -> str:
    with pytest.raises(FileError) as caught:
        made(value, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ port }}", 8080),
        ("{{ port }} ", "8080 "),
        ("{{ port }}{{ port }}", "80808080"),
        ("{{ yes }}", True),
        ("{{ none }}", None),
        ("a{{ none }}b", "ab"),
        ("{{ [1, 'a'] }}", [1, "a"]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ 'x' }}", "x"),
        ("{{ 5 }}", 5),
        ("{{ 5 }}5", "55"),
        ("{{ '5' }}", "5"),
        ("{# nothing #}", None),
        ("{% if yes %}{{ port }}{% endif %}", 8080),
        ("{{ port }}\n", 8080),
        ("a{{ port }}\n\n", "a8080\n\n"),
        ("{% for i in [1, 2] %}\n{{ i }}\n{% endfor %}\n", "1\n2\n"),
        ("{{ app }}", {"port": 8080, "home": "/srv/web", "user": "web", "list": [8080, 2]}),
        ("{{ app.home }}", "/srv/web"),
        ("{{ alias.list[0] }}", 8080),
        ("{{ items }}", [8080, "b", "web"]),
        ("{{ items[-1] }}", "web"),
        ("{{ items[:2] }}", [8080, "b"]),
        ("{{ items | length }}", 3),
        ("{{ items + [1] }}", [8080, "b", "web", 1]),
        ("{{ 8080 in items }}", True),
        ("{{ app.list == [8080, 2] }}", True),
        ("{{ app == alias }}", True),
        ("{{ items | join(',') }}", "8080,b,web"),
        ("{% for key, value in app.items() %}{{ key }};{% endfor %}", "port;home;user;list;"),
        ("{{ app.get('nope', 'd') }}", "d"),
        ("{{ raw }}", "{{ port }}"),
        ("{{ raw ~ '' }}", "{{ port }}"),
        ("{{ odd.update }}", 1),
        ("{{ odd['items'] }}", 2),
        ("{{ nope | default('d') }}", "d"),
        ("{{ nope.a.b[0] | default('d') }}", "d"),
        ("{{ unfit | default('d') }}", "d"),
        ("{{ unfit_deep | default('d') }}", "d"),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ nope is defined }}", False),
        ("{{ unfit is defined }}", False),
        ("{{ app.nope is defined }}", False),
        ("{{ app.port is defined }}", True),
        ("{{ name if yes else nope }}", "web"),
        ("{% set x = 5 %}{{ x }}", 5),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(port) }}", "<8080>"),
        ("{{ 'a\\nb' }}", "a\\nb"),
        ("{% set x = 'a\\nb' %}{{ x }}", "a\nb"),
        ("{% raw %}{{ port }}{% endraw %}", "{{ port }}"),
    ],
)
def test_native_and_lazy(template: str, value: Any) -> None:
    result = made(template)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ app | to_json }}", '{"port": 8080, "home": "/srv/web", "user": "web", "list": [8080, 2]}'),
        ("{{ {'b': 1, 'a': [1]} | to_nice_json }}", '{\n    "a": [\n        1\n    ],\n    "b": 1\n}'),
        ("{{ {'b': 1, 'a': [1, 2]} | to_yaml }}", "a: [1, 2]\nb: 1\n"),
        ("{{ {'b': 1, 'a': [1, 2]} | to_nice_yaml }}", "a:\n- 1\n- 2\nb: 1\n"),
        ("{{ '[1, {\"a\": null}]' | from_json }}", [1, {"a": None}]),
        ("{{ 'a: [1, yes]' | from_yaml }}", {"a": [1, True]}),
        ("{{ 'hé' | b64encode }}", "aMOp"),
        ("{{ 'aMOp' | b64decode }}", "hé"),
        ("{{ text | regex_replace('-(b)', '+\\1') }}", "a+b-c"),
        ("{{ text | regex_search('b.c') }}", "b-c"),
        ("{{ text | regex_search('(b).(c)', '\\2', '\\1') }}", ["c", "b"]),
        ("{{ text | regex_search('z') is none }}", True),
        ("{{ text | regex_findall('[a-z]') }}", ["a", "b", "c"]),
        ("{{ 'a.b' | regex_escape }}", "a\\.b"),
        ("{{ {'a': 1, 'd': {'x': 1}} | combine({'b': 2, 'd': {'y': 2}}) }}", {"a": 1, "b": 2, "d": {"y": 2}}),
        ("{{ {'d': {'x': 1}} | combine({'d': {'y': 2}}, recursive=true) }}", {"d": {"x": 1, "y": 2}}),
        ("{{ {'l': [1, 2]} | combine({'l': [2, 3]}, list_merge='append_rp') }}", {"l": [1, 2, 3]}),
        ("{{ {'l': [1, 2]} | combine({'l': [2, 3]}, list_merge='prepend') }}", {"l": [2, 3, 1, 2]}),
        ("{{ [{'a': 1}, {'b': 2}] | combine }}", {"a": 1, "b": 2}),
        ("{{ {'a': 1} | dict2items }}", [{"key": "a", "value": 1}]),
        ("{{ [{'key': 'a', 'value': 1}] | items2dict }}", {"a": 1}),
        ("{{ yes | ternary('on', 'off') }}", "on"),
        ("{{ none | ternary('on', 'off', 'nil') }}", "nil"),
        ("{{ 'Yes' | bool }} {{ 'off' | bool }} {{ 1 | bool }}", "True False True"),
        ("{{ '42' | int }}", 42),
        ("{{ 'abc' | hash('sha256') }}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("{{ 'abc' | sha1 }}", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ('{{ "it\'s" | quote }}', "'it'\"'\"'s'"),
        ("{{ '/a/b.c' | basename }} {{ '/a/b.c' | dirname }}", "b.c /a"),
        ("{{ '/a/b.c' | splitext }}", ["/a/b", ".c"]),
        ("{{ ['/a', 'b'] | path_join }}", "/a/b"),
        ("{{ port | mandatory }}", 8080),
        ("{{ [1, 2, 1] | unique }}", [1, 2]),
        ("{{ [1, 2] | union([2, 3]) }}", [1, 2, 3]),
        ("{{ [1, 2] | difference([2, 3]) }}", [1]),
        ("{{ [1, 2] | intersect([2, 3]) }}", [2]),
        ("{{ [1, 2] | symmetric_difference([2, 3]) }}", [1, 3]),
        ("{{ [1, 2] | zip(['a', 'b']) }}", [[1, "a"], [2, "b"]]),
        ("{{ [1] | zip_longest(['a', 'b'], fillvalue=0) }}", [[1, "a"], [0, "b"]]),
        ("{{ [1, 2] | product(['a']) }}", [[1, "a"], [2, "a"]]),
        ("{{ [1, [2, [3, none]]] | flatten }}", [1, 2, 3]),
        ("{{ [1, [2, [3]]] | flatten(1) }}", [1, 2, [3]]),
        ("{{ 'a,b' | split(',') }}", ["a", "b"]),
        ("{{ users | map(attribute='n') }}", ["a", "b", "c"]),
        ("{{ users | selectattr('g', 'eq', 1) | map(attribute='n') | list }}", ["a", "c"]),
        ("{{ users | groupby('g') | map(attribute='grouper') | list }}", [1, 2]),
        ("{{ users | sum(attribute='g') }}", 4),
        ("{{ [{'n': [1, 2]}, {'n': [3]}] | subelements('n') | map('last') }}", [1, 2, 3]),
        ("{{ 1 | extract(['a', 'b']) }}", "b"),
        ("{{ items | map('string') | map('upper') | join(' ') }}", "8080 B WEB"),
        ("{{ '%s-%02d' | format(name, 7) }}", "web-07"),
        ("{{ '{}-{:>3}'.format(name, 7) }}", "web-  7"),
        ("{{ name.upper() }} {{ text.split('-') }}", "WEB ['a', 'b', 'c']"),
        ("{{ 'web1' is match('web') }} {{ 'xweb' is match('web') }} {{ 'xweb' is search('web') }}", "True False True"),
        ("{{ '1.10.2' is version('1.9', '>') }}", True),
        ("{{ [1] is subset([1, 2]) }} {{ [1, 2] is contains(2) }}", "True True"),
        ("{{ 'web' | to_uuid }}", "1ceeeb77-29cd-55e2-8b45-3dc51b7bf384"),
    ],
)
def test_filters_and_tests(template: str, value: Any) -> None:
    assert made(template) == value


def test_containers_and_omit() -> None:
    value = {"{{ key }}": "{{ port }}", "gone": "{{ nope | default(omit) }}", "list": ["{{ omit }}", "{{ name }}", 1]}
    assert made(value) == {"{{ key }}": 8080, "list": ["web", 1]}
    assert "can't be left out here" in said("{{ omit }}")


def test_results_are_not_templates_again() -> None:
    assert made("{{ '{{' ~ ' port }}' }}") == "{{ port }}"


def test_is_template() -> None:
    assert [is_template(text) for text in ("a", "{{ a }}", "{% a %}", "{# a #}", Unsafe("{{ a }}"), 5, None)] == [
        False, True, True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ prt }}", "play.yml:3: the variable 'prt' is not defined\n  hint: did you mean 'port'?"),
        ("x{{ prt }}", "the variable 'prt' is not defined"),
        ("{{ unfit_deep }}", "the variable 'nope' is not defined (needed by the variable 'unfit_deep')"),
        ("{{ app.prt }}", "there is no 'prt' in 'app'\n  hint: did you mean 'port'?"),
        ("{{ odd.updat }}", "there is no 'updat' in the mapping with 'update'"),
        ("{{ items[7] }}", "there is no 7 in 'items'"),
        ("{{ one }}", "these variables need each other: one -> two -> three.x -> one"),
        ("{{ nope | upper }}", "the variable 'nope' is not defined"),
        ("{{ nope == 1 }}", "the variable 'nope' is not defined"),
        ("{{ [nope] }}", "the variable 'nope' is not defined"),
        ("{{ nope | mandatory('say nope') }}", "say nope"),
        ("{{ broken }}", "unexpected end of template"),
        ("{{ port", "'{{ port' is no template: unexpected end of template"),
        ("{% if %}{% endif %}", "is no template"),
        ("{{ a | nofilter }}", "No filter named 'nofilter'"),
        ("{{ a is notest }}", "No test named 'notest'"),
        ("{{ name.upper }}", "comes to a method that is not called"),
        ("{{ namespace() }}", "comes to a Namespace, which is no value"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "can't be rendered"),
        ("{{ secret }}", "is no text of ansible-vault"),
        ("{{ lookup('pipe', 'id') }}", "lookups read files and run programs, and are not offered here"),
        ("{{ query('env', 'HOME') }}", "lookups"),
        ("{{ now() }}", "the time would make every rendering differ"),
        ("{% include '/etc/passwd' %}", "can't be rendered"),
        ("{% import '/etc/passwd' as x %}", "can't be rendered"),
        ("{% extends '/etc/passwd' %}", "can't be rendered"),
        ("{{ 5 | random }}", "No filter named 'random'"),
        ("{{ 'x' | hash('shake_256') }}", "hash knows"),
        ("{{ 'x' | from_json }}", "can't be rendered"),
        ("{{ 'a: [' | from_yaml }}", "can't be read as YAML"),
        ("{{ 'abcde' | b64decode }}", "can't be rendered"),
        ("{{ '(' | regex_search('(') }}", "can't be rendered"),
    ],
)
def test_errors_in_plain_words(template: str, message: str) -> None:
    assert message in said(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ ''.format.__globals__ }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ ('{0.__cl' ~ 'ass__}').format_map({'0': ''}) }}",
        "{{ ['{0.__class__}'] | map('format') | list }}{{ ''.__class__ }}",
        "{{ app.__init__.__globals__ }}",
        "{{ app._scope }}",
        "{{ app['_raw'] }}",
        "{{ items._scope._evaluate('x') }}",
        "{{ hostvars.__class__ }}",
        "{{ range.__self__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ (1).__class__ }}",
        "{{ lookup.__globals__ }}",
        "{{ omit.__class__ }}",
        "{{ nope.__class__ }}",
        "{{ cycler }}",
        "{{ lipsum.__globals__ }}",
        "{{ joiner }}",
        "{{ dict.fromkeys.__self__ }}",
        "{% for k in app %}{{ loop.__class__ }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m.__call__.__func__ }}",
    ],
)
def test_nothing_reaches_python(template: str) -> None:
    assert said(template).startswith("play.yml:3: ")


@pytest.mark.parametrize(
    "template",
    [
        "{% set _ = plain.append(4) %}",
        "{{ plain.append(4) }}",
        "{{ plain.clear() }}",
        "{{ mapping.update({'b': 2}) }}",
        "{{ mapping.pop('a') }}",
        "{{ mapping.__setitem__('a', 2) }}",
        "{% set plain.x = 5 %}",
    ],
)
def test_nothing_can_be_changed(template: str) -> None:
    variables = {"plain": [1], "mapping": {"a": 1}}
    with pytest.raises(FileError):
        render(template, variables, where=WHERE)
    assert variables == {"plain": [1], "mapping": {"a": 1}}


DOUBLING = "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ 10 ** 10 * 'a' }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ range(10 ** 9) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
        "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{{ 'x' | center(10 ** 10) }}",
        "{{ 'x'.ljust(10 ** 10) }}",
        "{{ 'x'.zfill(width=10 ** 10) }}",
        "{{ 'x'.encode().center(10 ** 10) }}",
        "{{ 'a\\tb'.expandtabs(10 ** 10) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '%.*f' % (10 ** 9, 1.0) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10 ** 9) }}",
        "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
        "{{ ('x' * 1000) | replace('x', 'y' * 100000) }}",
        "{{ ('x' * 1000).replace('x', 'y' * 100000) }}",
        "{{ ('x' * 1000) | regex_replace('x', 'y' * 100000) }}",
        "{{ ['x' * 100000] * 1000 | int | string }}{{ (['x' * 100000] * 1000) | join }}",
        "{{ ''.join(['x' * 100000] * 1000) }}",
        "{{ ('y' * 100000).join(['x'] * 1000) }}",
        "{{ ['a'] | batch(10 ** 9, 'b') | list }}",
        "{{ ['a'] | slice(10 ** 9) | list }}",
        "{{ 'a\\nb' | indent(10 ** 9) }}",
        "{{ 1.5 | round(10 ** 9) }}",
        "{{ {} | to_json(indent=10 ** 9) }}",
        "{{ [1] | tojson(indent=10 ** 9) }}",
        "{{ range(50000) | product(range(50000)) | list }}",
        "{{ ([range(500) | list] * 1000) | flatten }}",
        "{{ ([range(500) | list] * 1000) | sum(start=[]) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        DOUBLING + "{{ ns.x }}",
        DOUBLING + "{{ ns.x | string }}",
        DOUBLING + "{{ ns.x ~ '' }}",
        DOUBLING + "a{{ ns.x }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 90 + "1" + "]" * 90 + " }}" * 400,
        "{{ " + "1 + " * 20000 + "1 }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% if 1 %}" * 500 + "{% endif %}" * 500,
        "{{ 'x' }}" + "y" * (300 * 1024),
    ],
)
def test_bombs_end_with_an_error(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_STEPS", 30_000)  # a tenth, to be done soon
    assert said(template).startswith("play.yml:3: ")


def test_marks_say_where() -> None:
    document = load_one("services:\n  web:\n    image: a\n    ports:\n      - '{{ prt }}:80'\n", "play.yml", "1.2")
    with pytest.raises(FileError) as caught:
        render(document.data, VARIABLES, where=document.marks)
    assert str(caught.value).startswith("play.yml:5:9: services.web.ports[0]: the variable 'prt' is not defined")


def test_terminal_escapes_do_not_reach_messages() -> None:
    assert "\x1b" not in said("{{ nope['\x1b[31m'] }}") + said("{{ '\x1b[2J' | nofilter }}") + said("{{ {}['\x1b'] }}")


HOSTS = """
all:
  vars: {domain: example.com, address: "{{ inventory_hostname_short }}.{{ domain }}", unused: "{{ nope }}"}
  children:
    web:
      hosts:
        web1.lan: {weight: 1, peers: "{{ groups.web | map('extract', hostvars, 'address') | list }}"}
        web2.lan: {weight: "{{ hostvars['web1.lan'].weight + 1 }}"}
        10.0.0.5: {}
"""


def test_host_variables(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(HOSTS)
    inventory = load(["hosts.yml"], cwd=tmp_path)
    web1, web2, numbered = inventory.hosts

    def of(host: Any, template: str, *layers: dict[str, Any]) -> Any:
        return render(template, host_variables(inventory, host, *layers, playbook_dir="/p"), where=WHERE)

    assert of(web1, "{{ address }}") == "web1.example.com"
    assert of(web2, "{{ weight }}") == 2
    assert of(web1, "{{ peers }}") == ["web1.example.com", "web2.example.com", "10.0.0.5.example.com"]
    assert of(numbered, "{{ inventory_hostname_short }}") == "10.0.0.5"
    assert of(web1, "{{ group_names }}") == ["web"]
    assert of(web1, "{{ groups.all | length }} {{ 'db' in groups }} {{ playbook_dir }}") == "3 False /p"
    assert of(web1, "{{ groups.web == ['web1.lan', 'web2.lan', '10.0.0.5'] }} {{ groups.web[1:] }}") == (
        "True ['web2.lan', '10.0.0.5']"
    )
    assert of(web1, "{{ hostvars | list }}") == ["web1.lan", "web2.lan", "10.0.0.5"]
    assert of(web1, "{{ hostvars['web2.lan'].get('nope', 5) }}") == 5
    assert of(web1, "{{ inventory_dir }}") == str(tmp_path)
    assert of(web1, "{{ domain }} {{ address }}", {"domain": "low"}, {"domain": "high"}) == "high web1.high"
    assert of(web1, "{{ inventory_hostname }}", {"inventory_hostname": "forged"}) == "web1.lan"
    assert host_variables(inventory, web1)["peers"][1] == "web2.example.com"
    with pytest.raises(FileError, match=r"there is no 'web9' in the mapping with 'web1\.lan'"):
        of(web1, "{{ hostvars.web9.x }}")
    with pytest.raises(FileError, match="the variable 'nope' is not defined"):
        host_variables(inventory, web1)["unused"]
