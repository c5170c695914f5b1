"""Parts as values, on parts made for the purpose: nesting, order, errors, and the registry."""

import pytest
import torch
from sklearn.base import clone

import narrows
from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.parts.options import Integer, Real, SequenceOf, option
from narrows.parts.part import OneOf, Part, as_part
from narrows.training import SGD, Adam, Cosine, Training


class Spice(Part, axis="spice"):
    """An axis."""


class Pepper(Spice, name="pepper"):
    """A part on it."""

    heat: float = option(Real(0, 10), "how hot", default=1.0)
    grinds: tuple[int, ...] = option(SequenceOf(Integer(1)), "turns of the mill", default=(3, 2))


class Curry(Spice, name="curry"):
    """A part with another inside."""

    base: Spice = option(OneOf(Spice), "what it is made of", default="pepper")
    heat: float = option(Real(0, 10), "how hot", default=5.0)


def test_a_part_is_a_value():
    assert Pepper(heat=2) == Pepper(heat=2.0) != Pepper()
    assert Pepper() != Curry()
    assert repr(Pepper()) == "Pepper()"
    assert repr(Curry(base=Pepper(heat=3, grinds=[1]))) == "Curry(base=Pepper(heat=3.0, grinds=(1,)))"
    assert Curry() == Curry(base=Pepper()) == Curry(base={"axis": "spice", "name": "pepper", "heat": 1})


def test_options_are_named_not_counted():
    with pytest.raises(TypeError):
        Pepper(2.0)


def test_json_is_plain_and_complete():
    described = Curry(base=Pepper(heat=2)).to_json()
    assert described == {
        "axis": "spice",
        "name": "curry",
        "base": {"axis": "spice", "name": "pepper", "heat": 2.0, "grinds": [3, 2]},
        "heat": 5.0,
    }
    assert Spice.from_json(described) == Curry(base=Pepper(heat=2))


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"axis": "spice", "name": "peper"}, "Unknown spice: 'peper'. Did you mean 'pepper'"),
        ({"axis": "spice", "name": ["pepper"]}, "Unknown spice"),
        ({"axis": "spice"}, "Unknown spice: 'None'"),
        ({"name": "pepper"}, "must have the entry 'axis': 'spice'"),
        ({"axis": "spice", "name": "pepper", "haet": 1}, "Unknown option of Pepper: 'haet'. Did you mean 'heat'"),
        (
            {"axis": "spice", "name": "pepper", "heat": 11},
            "The 'heat' of Pepper must be a number ≥ 0 and ≤ 10. Got 11.",
        ),
        ({"axis": "spice", "name": "curry", "base": {"axis": "spice", "name": "salt"}}, "Unknown spice: 'salt'"),
    ],
)
def test_a_description_that_lies_is_refused(described, said):
    with pytest.raises(InvalidParameterError) as caught:
        Spice.from_json(described)
    assert said in str(caught.value)


def test_names_values_and_descriptions_mean_the_same_part():
    assert as_part(Spice, "pepper") == as_part(Spice, Pepper()) == as_part(Spice, Pepper().to_json())
    given = Pepper()
    assert as_part(Spice, given) is given
    with pytest.raises(
        UnknownNameError, match=r"Unknown spice: 'pebber'. Did you mean 'pepper'\? Choose one of: curry"
    ):
        as_part(Spice, "pebber")
    with pytest.raises(InvalidParameterError, match=r"be a spice \('curry', 'pepper', or a spice object\). Got 3."):
        as_part(Spice, 3)
    with pytest.raises(InvalidParameterError, match=r"The 'base' of Curry must be a spice"):
        Curry(base=Adam())


def test_nested_parameters():
    curry = Curry()
    assert curry.get_params() == {"base": Pepper(), "base__heat": 1, "base__grinds": (3, 2), "heat": 5}
    assert curry.get_params(deep=False) == {"base": Pepper(), "heat": 5}
    assert curry.set_params(base__heat=7) is curry
    assert curry == Curry(base=Pepper(heat=7))
    with pytest.raises(
        InvalidParameterError, match=r"The 'heat' of Curry is 5.0, which has no options\. Got 'heat__unit'\."
    ):
        curry.set_params(heat__unit=1)


def test_the_order_of_nested_parameters_does_not_matter():
    wanted = Curry(base=Curry(base=Pepper(heat=2), heat=3), heat=4)
    params = {"base__base__heat": 2, "base__heat": 3, "base": Curry(), "heat": 4}
    assert Curry().set_params(**params) == wanted
    assert Curry().set_params(**dict(reversed(params.items()))) == wanted


@pytest.mark.parametrize("turned", [False, True])
def test_options_that_go_together_can_be_set_together(turned):
    params = {"nesterov": True, "momentum": 0.9}
    params = dict(reversed(params.items())) if turned else params
    assert SGD().set_params(**params) == SGD(nesterov=True, momentum=0.9)
    nested = {f"optimiser__{key}": value for key, value in params.items()}
    assert Training(optimiser="sgd").set_params(**nested).optimiser == SGD(nesterov=True, momentum=0.9)
    with pytest.raises(InvalidParameterError, match="'nesterov' of SGD needs a momentum above 0"):
        SGD(nesterov=True)


def test_setting_a_nested_parameter_leaves_the_part_that_was_given_alone():
    mine = Adam(learning_rate=0.5)
    training = Training(optimiser=mine)
    training.set_params(optimiser__learning_rate=0.1)
    assert mine.learning_rate == 0.5
    assert training.optimiser.learning_rate == 0.1


@pytest.mark.parametrize(
    "params",
    [
        {"heat": 2, "base__heat": 99},
        {"heat": 99, "base__heat": 2},
        {"heat": 2, "base": "salt"},
        {"heat": 2, "nonsense": 1},
        {"heat": 2, "base__nonsense": 1},
    ],
)
def test_when_one_value_is_bad_nothing_is_changed(params):
    inside = Pepper()
    curry = Curry(base=inside)
    with pytest.raises(InvalidParameterError):
        curry.set_params(**params)
    assert curry == Curry()
    assert inside == Pepper()


def test_a_clone_is_independent():
    original = Curry()
    for twin in (original.clone(), clone(original)):
        twin.base.heat = 9.0
        twin.heat = 8.0
        assert original == Curry()


def test_axes_keep_their_names_apart():
    assert set(Spice.registry) == {"pepper", "curry"}
    assert "pepper" not in Adam.registry
    assert Cosine.axis == "schedule"


def test_the_docstring_of_a_part_explains_each_option_before_the_examples():
    doc = narrows.Training.__doc__
    for name, field in Training.__dataclass_fields__.items():
        assert f"\n{name} : {field.metadata['allowed']}, default " in doc
    assert "\nbatch_size : a whole number ≥ 1, default 128\n    Records per step.\n" in doc
    assert doc.index("Parameters\n----------") < doc.index("device :") < doc.index("Examples\n--------")


def test_names_of_options_have_the_right_article():
    with pytest.raises(
        InvalidParameterError, match=r"must be an optimiser \(.*, or an optimiser object\)\. Got <class"
    ):
        Training(optimiser=torch.optim.AdamW)
    with pytest.raises(InvalidParameterError, match=r"must be a schedule \(.*, or a schedule object\)"):
        Training(schedule=3)
