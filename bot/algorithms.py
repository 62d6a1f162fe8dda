"""The search algorithms and early-stopping rules that Katib knows, with their settings.

Names, ranges and required settings are those of Katib 0.19's suggestion services, which check
them late (the Suggestion fails, then the Experiment); `problems` says the same at once.
Which of these an engine can run is for the engine to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from bot.errors import SpecError


@dataclass(frozen=True)
class Setting:
    """One setting: `read` turns its text into a value (ValueError), `accepts` judges the value."""

    read: Callable[[str], object]
    expected: str
    accepts: Callable[..., bool] = lambda _value: True
    default: str | None = None
    required: bool = False


@dataclass(frozen=True)
class Algorithm:
    """`refused` is the sentence for an algorithm that tunes no hyperparameters."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    refused: str = ""


def _choice(*choices: str) -> Setting:
    return Setting(str, "one of " + ", ".join(choices), lambda value: value in choices)


SEED = Setting(int, "a whole number from 0", lambda value: value >= 0)
POSITIVE = Setting(float, "a number above 0", lambda value: value > 0)
COUNT = Setting(int, "a whole number from 1", lambda value: value >= 1)
NO_SEARCH_SPACE = "it designs network architectures and takes no hyperparameters."

ALGORITHMS: Mapping[str, Algorithm] = {
    "random": Algorithm({"random_state": SEED}),
    "grid": Algorithm({"random_state": SEED}),
    "tpe": Algorithm(
        {
            "gamma": Setting(float, "a number between 0 and 1", lambda value: 0 < value < 1),
            "prior_weight": POSITIVE,
            "n_EI_candidates": COUNT,
            "random_state": SEED,
        }
    ),
    "multivariate-tpe": Algorithm(
        {"n_startup_trials": COUNT, "n_ei_candidates": COUNT, "random_state": SEED}
    ),
    "bayesianoptimization": Algorithm(
        {
            "base_estimator": _choice("GP", "RF", "ET", "GBRT"),
            "n_initial_points": COUNT,
            "acq_func": _choice("gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"),
            "acq_optimizer": _choice("auto", "sampling", "lbfgs"),
            "random_state": SEED,
        }
    ),
    "cmaes": Algorithm(
        {
            "sigma": POSITIVE,
            "restart_strategy": _choice("none", "ipop", "bipop"),
            "random_state": SEED,
        }
    ),
    "sobol": Algorithm(),
    "hyperband": Algorithm(
        {
            "r_l": Setting(float, "a number above 1", lambda value: value > 1, required=True),
            "resource_name": Setting(
                str, "the name of a hyperparameter", default="num_train_epochs", required=True
            ),
            "eta": Setting(
                int, "a whole number from 2", lambda value: value >= 2, default="3", required=True
            ),
        }
    ),
    "pbt": Algorithm(
        {
            "suggestion_trial_dir": Setting(
                str, "a folder", default="/opt/katib/data", required=True
            ),
            "n_population": Setting(
                int, "a whole number from 5", lambda value: value >= 5, default="5", required=True
            ),
            "truncation_threshold": Setting(
                float,
                "a number from 0 to 1",
                lambda value: 0 <= value <= 1,
                default="0.2",
                required=True,
            ),
        }
    ),
    "enas": Algorithm(refused=NO_SEARCH_SPACE),
    "darts": Algorithm(refused=NO_SEARCH_SPACE),
}

EARLY_STOPPING: Mapping[str, Algorithm] = {
    "medianstop": Algorithm(
        {
            "min_trials_required": Setting(
                int, "a whole number from 1", lambda value: value >= 1, default="3"
            ),
            "start_step": Setting(
                int, "a whole number from 1", lambda value: value >= 1, default="4"
            ),
        }
    )
}


def nearest(word: str, known: Mapping[str, object] | list[str]) -> str:
    """A hint "Did you mean `x`?", or the list of what there is."""
    names = list(known)
    close = get_close_matches(word, names, n=2, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(f"`{name}`" for name in close) + "?"
    return "There is: " + ", ".join(names) + "."


def problems(
    name: str, settings: Mapping[str, str], table: Mapping[str, Algorithm], field_name: str
) -> Iterator[SpecError]:
    """What is wrong with an algorithm's (or early-stopping rule's) name and settings."""
    algorithm = table.get(name)
    if algorithm is None:
        yield SpecError(f"`{name}` is not known here.", hint=nearest(name, table), field=field_name)
    elif algorithm.refused:
        yield SpecError(
            f"`{name}` cannot tune a model: {algorithm.refused}",
            hint="Use `tpe` or `random`.",
            field=field_name,
        )
    else:
        for key, text in settings.items():
            yield from _setting_problems(name, key, text, algorithm.settings, field_name)


def _setting_problems(
    name: str, key: str, text: str, known: Mapping[str, Setting], field_name: str
) -> Iterator[SpecError]:
    setting = known.get(key)
    if setting is None:
        hint = nearest(key, known) if known else f"`{name}` takes no settings."
        yield SpecError(f"`{name}` has no setting `{key}`.", hint=hint, field=field_name)
        return
    try:
        good = setting.accepts(setting.read(text))
    except ValueError:
        good = False
    if not good:
        yield SpecError(
            f"`{key}` of `{name}` must be {setting.expected}, not `{text}`.", field=field_name
        )


def with_defaults(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """`settings` with the required ones that were left out, at their stated defaults."""
    required = {
        key: setting.default
        for key, setting in ALGORITHMS[name].settings.items()
        if setting.required and setting.default is not None
    }
    return {**required, **settings}


def hyperband_width(settings: Mapping[str, str]) -> int:
    """The trials of hyperband's widest bracket, which must run at the same time.

    Katib asks for parallelTrialCount >= eta ** floor(log(r_l, eta)).

    Raises:
        ValueError: `r_l` or `eta` is missing or no number.
    """
    try:
        most, eta = float(settings["r_l"]), int(settings["eta"])
    except KeyError as error:
        raise ValueError(f"no {error}") from error
    width = 1
    while eta > 1 and width * eta <= most < float("inf"):
        width *= eta
    return width
