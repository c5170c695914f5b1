"""Models of tables with columns of several kinds: learned, evaluated, filled, drawn, and refused."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import narrows
from narrows.data.tables.sources import rows_for
from narrows.errors import DataError, DataWarning, InvalidParameterError, UnknownNameError
from narrows.likelihoods import Columns
from narrows.model.columns import sample_rows
from narrows.model.inference import value_costs
from narrows.networks import Dense
from narrows.numerics.absent import ABSENT


def table(n, seed=0):
    """Return rows whose columns depend on each other: capital and price on country, stock on price."""
    rng = np.random.default_rng(seed)
    country = rng.choice(["Chile", "Nepal", "Peru"], n, p=[0.5, 0.3, 0.2])
    price = {"Chile": 10, "Nepal": 20, "Peru": 40}
    prices = np.array([price[one] for one in country]) + rng.normal(0, 1, n).round(2)
    return pd.DataFrame(
        {
            "id": [f"K-{rng.integers(10**6):06d}" for _ in range(n)],
            "country": country,
            "price": prices.round(2),
            "is new": rng.random(n) < np.where(country == "Peru", 0.9, 0.1),
            "since": pd.Timestamp("1965-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
            "sold": np.where(rng.random(n) < 0.2, np.nan, (prices > 15) * 7.0),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    table(1500).to_csv(folder / "train.csv", index=False)
    table(200, seed=1).to_csv(folder / "test.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    made = narrows.recipe("table", training__epochs=25, network="dense", network__widths=(128, 128), random_state=0)
    made.fit(folder / "train.csv")
    made.save(folder / "m.safetensors")
    return narrows.load(folder / "m.safetensors")


def test_the_probabilities_of_a_column_add_up_to_one():
    likelihood = Columns(categories=(0, 4, 2), steps=(1.0, 0.0, 0.0), atoms=((3.0,), (), ()), components=2).build((3,))
    likelihood.double().fit_units(torch.zeros(3), torch.tensor([2.0, 1.0, 1.0]).double())
    parameters = torch.randn(1, *likelihood.out_shape((3,)), generator=torch.Generator().manual_seed(0)).double()
    whole = torch.arange(-4000, 4001).double()
    x = torch.stack([whole / 2, whole % 4, whole % 2], 1)
    p = likelihood.log_prob_of_values(parameters.expand(len(x), -1), x).exp()
    assert float(p[:, 0].sum()) == pytest.approx(1, abs=1e-3)  # what is beyond the numbers that are tried is missing
    assert float(p[:4, 1].sum()) == pytest.approx(1)
    assert float(p[:2, 2].sum()) == pytest.approx(1)
    x[:, 1] = ABSENT
    assert not likelihood.log_prob_of_values(parameters.expand(len(x), -1), x)[:, 1].any()


def test_samples_are_as_frequent_as_their_probabilities():
    likelihood = Columns(categories=(0, 3), steps=(1.0, 0.0), atoms=((0.0, 5.0), ()), components=1).build((2,)).double()
    likelihood.fit_units(torch.zeros(2), torch.ones(2))
    parameters = torch.tensor([[0.0, 1.5, -1.0, 1.0, 0.5, 0.2, -1.0, 1.0]]).double()
    n = 20_000
    drawn = likelihood.sample(parameters.expand(n, -1), torch.Generator().manual_seed(0))
    for value in (0.0, 5.0):
        x = torch.tensor([[value, 1.0]]).double()
        p = float(likelihood.log_prob_of_values(parameters, x).exp()[0, 0])
        assert float(((drawn[:, 0] - value).abs() < 0.5).double().mean()) == pytest.approx(p, abs=0.015)
    shares = torch.bincount(drawn[:, 1].long(), minlength=3) / n
    torch.testing.assert_close(shares.double(), parameters[0, 5:].softmax(0), atol=0.015, rtol=0)


def test_a_model_knows_its_columns_and_beats_each_alone(model, folder):
    assert model.record_ == "columns"
    assert list(model.feature_names_in_) == ["country", "price", "is new", "since", "sold"]
    metrics = narrows.evaluate(model, folder / "test.csv")
    by_name = {one["name"]: one for one in metrics["columns"]}
    assert by_name["country"]["right"] > 0.95
    assert by_name["country"]["bits_from_others"] < 0.5 < 1.4 < by_name["country"]["own_bits"]
    assert by_name["price"]["bits_from_others"] < by_name["price"]["own_bits"]
    assert by_name["sold"]["known"] == 200 - metrics["missing_values"]
    assert metrics["bits_per_record"] < metrics["own_bits_per_record"]
    bits = narrows.evaluate(model, folder / "test.csv", per_record=True)["per_record"]
    assert float(np.mean(bits["bits"])) == pytest.approx(metrics["bits_per_record"])


def test_missing_cells_count_neither_as_values_nor_in_the_loss(model, folder):
    values = model.records_of(folder / "test.csv").values
    nats = value_costs(model.chain_, values)
    assert not nats[np.isnan(values)].any()
    assert (nats >= 0).all()  # a category or a frequent number may be certain, one of many numbers is not
    names = [one.name for one in model.model_.schema.fields]
    assert (nats[:, [names.index(one) for one in ("price", "since")]] > 0).all()


def test_a_frame_comes_back_as_one_with_its_types(model):
    given = table(30, seed=2)
    given.index = range(5, 35)
    back = model.reconstruct(given)
    assert (list(back.columns), list(back.index)) == (list(given.columns), list(given.index))
    assert back.dtypes.to_dict() == given.dtypes.to_dict()
    assert (back["id"] == given["id"]).all()
    codes = model.transform(given)
    assert codes.shape == (30, model.n_latent_)
    assert list(model.inverse_transform(codes).shape) == [30, 5]


def test_columns_match_by_name(model):
    given = table(20, seed=3)
    mixed = given[given.columns[::-1]]
    np.testing.assert_array_equal(model.transform(mixed), model.transform(given))
    with pytest.raises(DataError, match=r"missing: 'price'; additional: 'cost'.*order may differ"):
        model.transform(given.rename(columns={"price": "cost"}))


def test_categories_are_the_same_in_files_of_text_and_frames(tmp_path):
    given = pd.DataFrame({"sold": [7.0, 0.0, np.nan, 7.0], "new": [True, False, True, True], "x": [1.5, 2.5, 0.5, 1.0]})
    given.to_csv(tmp_path / "t.csv", index=False)
    words = given.assign(new=["yes", "no", "Yes", "y"])
    text = narrows.data.open(tmp_path / "t.csv", columns="sold:category")
    assert [one.kind for one in text.table.fields[:2]] == ["category", "boolean"]
    for frame in (given, words, given.assign(sold=["7", "0", None, "7.0"])):
        source = narrows.data.open(frame, record="columns")
        np.testing.assert_array_equal(rows_for(source, text.table.fields, ()).values, text.values)
    typed = narrows.data.open(given.assign(sold=["7", "0", None, "7"]), record="columns").table.fields
    np.testing.assert_array_equal(rows_for(text, typed, ()).values[:, :2], text.values[:, :2])


def test_numbers_are_no_dates(tmp_path):
    days = pd.date_range("1965-03-01", periods=12)
    fields = narrows.data.open(pd.DataFrame({"c": ["a", "b", "b"] * 4, "since": days})).table.fields
    pd.DataFrame({"c": ["a", "b", "b"] * 4, "since": range(12)}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(DataWarning, match="12 cells .* count as missing: 12 in 'since'"):
        assert np.isnan(rows_for(narrows.data.open(tmp_path / "t.csv"), fields, ()).values[:, 1]).all()


def test_dates_are_the_same_in_files_of_text_parquet_files_and_frames(tmp_path):
    days = pd.date_range("1965-03-01", periods=12)
    given = pd.DataFrame({"c": ["a", "b", "b"] * 4, "since": days})
    noon = given.assign(since=days + pd.Timedelta("12h"))
    given.to_csv(tmp_path / "t.csv", index=False)
    given.to_parquet(tmp_path / "t.parquet")
    opened = [narrows.data.open(one) for one in (tmp_path / "t.csv", tmp_path / "t.parquet", given)]
    opened += [narrows.data.open(given.assign(since=since)) for since in (days.date, days.astype(str))]
    dates, _, seconds = (one.table.fields for one in opened[:3])
    assert [dates[1].kind, seconds[1].kind] == ["date", "datetime"]
    since_1970 = (days - pd.Timestamp(0)).days.to_numpy()
    for source in [*opened, narrows.data.open(noon)]:
        np.testing.assert_array_equal(rows_for(source, dates, ()).values[:, 1], since_1970)
    for source in opened[:4]:
        np.testing.assert_array_equal(rows_for(source, seconds, ()).values[:, 1], since_1970 * 86_400)


def test_cells_that_the_model_does_not_know_are_counted_and_missing(model, tmp_path):
    given = table(20, seed=4)
    given.loc[3, "country"] = "Atlantis"
    words = given["price"].astype(object)
    words[5] = "much"
    given["price"] = words
    given.to_csv(tmp_path / "other.csv", index=False)
    with pytest.warns(DataWarning, match="2 cells of new or rare categories.*1 in 'country', 1 in 'price'"):
        values = model.records_of(tmp_path / "other.csv").values
    assert np.isnan(values[3, 0])
    assert np.isnan(values[5, 1])


def test_denoise_fills_what_is_missing_and_replaces_what_is_impossible(model):
    given = table(200, seed=5)
    holes = given.copy()
    holes.loc[::2, "country"] = None
    holes.loc[7, "price"] = 9999.0
    filled = model.denoise(holes)
    assert (filled["country"] == given["country"]).mean() > 0.9
    assert abs(filled.loc[7, "price"] - given.loc[7, "price"]) < 10
    untouched = filled.index != 7
    np.testing.assert_array_equal(filled["price"][untouched], given["price"][untouched])
    assert not filled.drop(columns="id").isna().any().any()


def test_new_rows_are_as_the_columns_are_and_none_is_copied(model, folder):
    known = pd.read_csv(folder / "train.csv")
    made = model.sample(400, random_state=0)
    assert list(made.columns) == list(known.columns)
    assert set(made["country"]) <= {"Chile", "Nepal", "Peru"}
    assert made["price"].between(known["price"].min(), known["price"].max()).all()
    assert made["since"].dt.year.between(1965, 1967).all()
    assert not set(made["id"]) & set(known["id"])
    assert made["id"].str.fullmatch(r"[A-Z]-\d{6}").all()
    assert made["id"].is_unique
    assert 0.1 < made["sold"].isna().mean() < 0.3
    means = made.groupby("country")["price"].median()
    assert (means - pd.Series({"Chile": 10.0, "Nepal": 20.0, "Peru": 40.0})).abs().max() < 3


def test_rows_given_some_columns_are_as_frequent_as_in_the_table(model, folder):
    """The approximation of `sample_rows` against counts: p(is new | country) and p(country | sold)."""
    known = pd.read_csv(folder / "train.csv")
    for country in ("Chile", "Peru"):
        made = model.sample(600, given={"country": country}, random_state=1)
        assert (made["country"] == country).all()
        counted = known[known["country"] == country]["is new"].mean()
        assert made["is new"].astype(bool).mean() == pytest.approx(counted, abs=0.08)
    made = model.sample(600, given={"sold": 7}, random_state=2)
    counted = known[known["sold"] == 7]["country"].value_counts(normalize=True)
    drawn = made["country"].value_counts(normalize=True).reindex(counted.index).fillna(0)
    assert (drawn - counted).abs().max() < 0.1
    with pytest.raises(UnknownNameError, match="country"):
        model.sample(1, given={"contry": "Peru"})
    with pytest.raises(DataError, match="one of Chile, Nepal, Peru"):
        model.sample(1, given={"country": "Atlantis"})


def test_given_cells_stay_exactly_as_they_are(model):
    given = np.full((5, 5), math.nan)
    given[:, 1] = 12.34
    made = sample_rows(model.chain_, given, torch.Generator().manual_seed(0))
    assert (made[:, 1] == 12.34).all()
    assert np.isfinite(made).all()


@pytest.mark.parametrize(
    "column",
    [
        None,
        {"nothing": [None] * 12},
        {"constant": [7] * 12},
        {"large": [10**15 + k for k in range(12)]},
        {"old": pd.to_datetime(["1950-01-01", "1969-12-31"] * 6)},
        {"a b": ["x", None] * 6},
    ],
    ids=["one column", "all null", "constant", "1e15", "before 1970", "nulls"],
)
def test_odd_tables_are_learned(column, tmp_path):
    given = pd.DataFrame({"c": ["a", "b", "b"] * 4, **(column or {})})
    made = narrows.recipe("auto", training__epochs=1, network="dense", network__widths=(8,), random_state=0).fit(given)
    assert math.isfinite(narrows.evaluate(made, given)["bits_per_record"])
    assert list(made.reconstruct(given).columns) == list(given.columns)
    assert list(made.sample(2).columns) == list(given.columns)


def test_tables_of_numbers_stay_vectors_and_need_no_columns(tmp_path):
    pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]}).to_csv(tmp_path / "x.csv", index=False)
    source = narrows.data.open(tmp_path / "x.csv")
    assert (source.record, source.columns, source.values.tolist()[1]) == ("auto", ("a", "b"), [2.0, 1.5])
    with pytest.raises(InvalidParameterError, match="need the likelihood 'columns'"):
        narrows.Autoencoder(record="columns", likelihood="normal").fit(source)
    with pytest.raises(InvalidParameterError, match=r"'cells' is for rows of tables"):
        narrows.Autoencoder(2, corruption="cells").fit(np.zeros((20, 4)))


def test_the_command_line(model, folder, narrows_call, tmp_path):
    path, test = folder / "m.safetensors", folder / "test.csv"
    said = narrows_call("evaluate", test, "-m", path)
    assert "bits from others" in said
    assert "is new" in said
    made = narrows_call("generate", "-m", path, "-n", 20, "--given", "country=Peru", "-o", tmp_path / "g.csv")
    assert "20 rows of 6 columns" in made
    assert "0 rows are rows of the training table" in made
    assert set(pd.read_csv(tmp_path / "g.csv")["country"]) == {"Peru"}
    narrows_call("reconstruct", test, "-m", path, "-o", tmp_path / "r.csv")
    back, given = pd.read_csv(tmp_path / "r.csv"), pd.read_csv(test)
    assert list(back.columns) == list(given.columns)
    assert (back["id"] == given["id"]).all()
    assert "missing cells filled" in narrows_call("denoise", test, "-m", path, "-o", tmp_path / "d.csv")
    filled = pd.read_csv(tmp_path / "d.csv")
    pd.testing.assert_frame_equal(filled[["id", "price", "since"]], given[["id", "price", "since"]])
    assert not filled["sold"].isna().any()
    narrows_call("encode", test, "-m", path, "-o", tmp_path / "z.npy")
    narrows_call("decode", tmp_path / "z.npy", "-m", path, "-o", tmp_path / "x.csv")
    assert len(pd.read_csv(tmp_path / "x.csv")) == 200


def test_the_baselines_of_columns_survive_the_file(model, folder):
    found = model.model_.artefacts["columns"]
    again = narrows.load(folder / "m.safetensors").model_.artefacts["columns"]
    for name, array in found.to_tensors().items():
        np.testing.assert_array_equal(array, again.to_tensors()[name])
    values = model.records_of(folder / "train.csv").values
    assert found.n_known_rows(values) == len(values)
    assert found.n_known_rows(values + 1) == 0
    assert type(found).from_file({}, {}, model.model_) is None
    with pytest.raises(ValueError, match="do not fit"):
        type(found).from_file({**found.to_tensors(), "table.mean": np.zeros(1)}, {}, model.model_)


def test_pictures_show_cells_and_mark_those_that_differ(model, folder, narrows_call, tmp_path):
    from narrows.evaluation.drawing import draw_denoising, draw_reconstructions

    given = table(4, seed=6)
    restored = model.reconstruct(given)
    for draw in (draw_reconstructions, draw_denoising):
        figure = draw(model, given, n=4)
        shown = {one.get_text() for one in figure.texts}
        assert {
            "country",
            "is new",
            "original",
            "restored",
            "was missing" if draw is draw_denoising else "country",
        } <= shown
        assert set(given["country"]) <= shown
    marked = len(draw_reconstructions(model, given.drop(columns="id"), n=4).axes[0].patches)
    differ = (restored.drop(columns="id") != given.drop(columns="id")) & given.drop(columns="id").notna()
    assert marked >= int(differ.to_numpy().sum())
    path, test = folder / "m.safetensors", folder / "test.csv"
    narrows_call("picture", test, "-m", path, "-o", tmp_path / "report.html", "--limit", 40)
    assert "own bits" in (tmp_path / "report.html").read_text()
    narrows_call("index", test, "-m", path, "-o", tmp_path / "i.narrows-index")
    narrows_call(
        "search", f"{test}#0", "-i", tmp_path / "i.narrows-index", "-m", path, "-o", tmp_path / "s.png", "-k", 2
    )
    assert (tmp_path / "s.png").stat().st_size > 1000


def test_a_map_has_colours_for_all_columns_and_missing_cells(model, folder):
    from narrows.evaluation.map_drawing import draw_record_map, record_map_page
    from narrows.uses import map_records

    found = map_records(model, model.records_of(folder / "test.csv").limit(60))
    assert {"country", "price", "since", "sold"} <= set(found.columns)
    assert set(found.columns["country"]) == {"Chile", "Nepal", "Peru"}
    assert 1964 < found.columns["since"].min() < 1966
    assert all(0 < view.trustworthiness <= 1 for view in found.views)
    for colour in ("country", "sold"):
        labels = [one.get_text() for one in draw_record_map(found, colour=colour).legends[0].get_texts()]
        assert ("Peru" in labels) if colour == "country" else ("missing" in labels)
    page = record_map_page(found, colour="country")
    assert '"Nepal"' in page


def test_a_scale_of_levels_is_increasing_and_gives_back_what_it_got():
    from narrows.numerics.column_scales import Levels, knots_of

    rng = np.random.default_rng(0)
    columns = [
        np.r_[np.zeros(900), np.exp(rng.normal(8, 2, 100)).round()],  # mostly zeros, with a heavy tail
        rng.normal(0, 1, 1000).round(2),
        np.full(1000, 3.0),
    ]
    knots = [knots_of(x, 0.005) for x in columns]
    scale = Levels(*(torch.from_numpy(np.stack(one)) for one in zip(*knots, strict=True)))
    x = torch.from_numpy(np.stack(columns, 1))
    y = scale.forward(x)
    torch.testing.assert_close(scale.inverse(y), x, rtol=1e-6, atol=1e-6)
    far = torch.linspace(-1e6, 1e6, 4001).double().unsqueeze(1).expand(-1, 3)
    assert (scale.forward(far).diff(dim=0) >= 0).all()
    assert torch.isfinite(scale.inverse(torch.full((1, 3), 1e30))).all()


def test_every_column_starts_at_its_own_distribution():
    """A mixture on the scale of levels has frequent numbers and tails: nothing is left for a network to make up for."""
    rng = np.random.default_rng(0)
    gains = np.where(rng.random(4000) < 0.9, 0, rng.choice([100, 594, 7298, 15024, 99999], 4000)).astype(float)
    likelihood = Columns(categories=(0,), steps=(1.0,), scale="levels").build((1,)).double()
    likelihood.fit_units(torch.zeros(1), torch.tensor([300.0]).double())
    x = torch.from_numpy(gains / 300).unsqueeze(1)
    levels = likelihood.fit_columns(x)
    assert levels is not None
    nats = -likelihood.log_prob(likelihood.marginals(x).expand(len(x), -1), x).mean()
    shares = np.unique(gains, return_counts=True)[1] / len(gains)
    assert float(nats) == pytest.approx(-(shares * np.log(shares)).sum(), abs=0.03)


def test_models_of_tables_from_before_have_no_levels_and_tell_no_decoder():
    assert Columns(categories=(0,), steps=(1.0,), atoms=((0.0,),)).build((1,)).state_dict().keys() == {"delta", "atoms"}
    assert not Dense().missing_to_decoder


def test_train_uses_the_recipe_for_tables(narrows_call, tmp_path):
    table(40).to_csv(tmp_path / "t.csv", index=False)
    narrows_call("train", tmp_path / "t.csv", "-o", tmp_path / "m.safetensors", "--epochs", 1, "--set", "n_latent=2")
    trained = narrows.load(tmp_path / "m.safetensors")
    assert (trained.training.batch_size, trained.training.epochs, trained.n_latent_) == (64, 1, 2)


def test_columns_are_left_out_and_typed_in_training(narrows_call, tmp_path):
    given = table(40).assign(row=range(40))
    given.to_csv(tmp_path / "t.csv", index=False)
    given.to_parquet(tmp_path / "t.parquet")
    how, path = ("--columns", "id:skip,row:skip,sold:category"), tmp_path / "m.safetensors"
    narrows_call("train", tmp_path / "t.csv", "-o", path, "--epochs", 1, "--set", "n_latent=2", *how)
    trained = narrows.load(path)
    assert [one.kind for one in trained.model_.schema.fields] == ["category", "decimal", "boolean", "date", "category"]
    assert not trained.model_.schema.texts
    same = trained.transform(narrows.data.open(tmp_path / "t.csv", columns="id:skip,row:skip,sold:category"))
    for columns in (None, "id:skip"):  # the model knows both
        source = narrows.data.open(tmp_path / "t.csv", columns=columns)
        np.testing.assert_array_equal(trained.transform(source), same)
    said = narrows_call("evaluate", tmp_path / "t.csv", "-m", path, "--columns", "id:skip")
    assert "40 records of 5 values" in said
    assert "bits from others" in said
    narrows_call("picture", tmp_path / "t.csv", "-m", path, "-o", tmp_path / "t.png", "--kind", "reconstructions")
    given.assign(key=given["id"]).to_csv(tmp_path / "more.csv", index=False)
    with pytest.raises(DataError, match=r"additional: 'key'.*--columns NAME:skip"):
        trained.transform(tmp_path / "more.csv")
    assert narrows.data.open(tmp_path / "t.parquet", columns="id:skip,country:skip").columns[0] == "price"
    with pytest.raises(InvalidParameterError, match=r"'window'.*is for series"):
        narrows.data.open(tmp_path / "t.csv", columns="id:skip", window=4)
    with pytest.raises(UnknownNameError, match="price"):
        narrows.data.open(tmp_path / "t.csv", columns="prize:skip")


def test_the_numbers_of_some_rows_of_a_frame_are_no_column(model):
    frame = table(40)
    some = frame.iloc[[3, 17, 5]]
    np.testing.assert_allclose(model.transform(some), model.transform(frame)[[3, 17, 5]], rtol=1e-9)
    shuffled = frame.sample(frac=1, random_state=0)
    assert narrows.data.open(shuffled).table.names == narrows.data.open(frame).table.names
    labelled = frame.set_index("price")  # an index with a name is a column
    assert "price" in [field.name for field in narrows.data.open(labelled).table.fields]
