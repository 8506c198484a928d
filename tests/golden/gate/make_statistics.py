"""Golden values for src/gate/statistics_test.cc, from SciPy, statsmodels and the definitions.

Pinned: numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0. Run: python make_statistics.py > statistics.json
"""
import json

import numpy as np
from scipy import optimize, stats
from statsmodels.stats import contingency_tables, multitest, proportion


def tango_low(lost, won, n, confidence):
    """The lower end by definition: the likelihood under p_won - p_lost = delta is maximised
    numerically (no closed form), and the score statistic is inverted with Brent's method."""
    z = stats.norm.ppf((1 + confidence) / 2)

    def score(delta):
        low = max(0.0, -delta)
        high = (1 - delta) / 2

        def slope(p_lost):  # of the log likelihood in p_lost
            p_won = p_lost + delta
            rest = 1 - p_lost - p_won
            s = 0.0
            if lost:
                s += lost / p_lost
            if won:
                s += won / p_won
            if n - lost - won:
                s -= 2 * (n - lost - won) / rest
            return s

        eps = 1e-15
        a, b = low + eps, high - eps
        if slope(a) <= 0:
            q = low
        elif slope(b) >= 0:
            q = high
        else:
            q = optimize.brentq(slope, a, b, xtol=1e-16, rtol=1e-14, maxiter=500)
        p_won = q + delta
        variance = n * (q + p_won - delta * delta)
        return (won - lost - n * delta) / np.sqrt(variance)

    upper = (won - lost) / n
    return optimize.brentq(lambda d: score(d) - z, -1 + 1e-9, upper - 1e-12, xtol=1e-13)


rows = [(0, 0), (1, 0), (0, 1), (3, 3), (5, 1), (10, 4), (22, 7), (20, 0), (100, 80), (0, 9)]
out = {"mcnemar": [], "tango": [], "wilson": [], "holm": [], "percentile": [], "normal": [], "binomial": []}
for lost, won in rows:
    table = [[50, lost], [won, 50]]
    two = contingency_tables.mcnemar(table, exact=True).pvalue if lost + won else 1.0
    worse = stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue if lost + won else 1.0
    out["mcnemar"].append({"lost": lost, "won": won, "two_sided": two, "worse": worse})
for lost, won, n in [(0, 0, 300), (1, 0, 100), (3, 3, 1200), (22, 7, 1920), (20, 0, 1200), (100, 80, 1200),
                     (0, 5, 60), (12, 2, 50), (7, 0, 7)]:
    for confidence in (0.9, 0.95):
        low = tango_low(lost, won, n, confidence) if lost < n else None
        high = -tango_low(won, lost, n, confidence)
        out["tango"].append({"lost": lost, "won": won, "n": n, "confidence": confidence, "low": low, "high": high})
for k, n in [(0, 10), (3, 10), (10, 10), (250, 1319), (1, 3000)]:
    low, high = proportion.proportion_confint(k, n, alpha=0.05, method="wilson")
    out["wilson"].append({"k": k, "n": n, "low": low, "high": high})
for p in ([0.01, 0.04, 0.03], [0.5, 0.5], [0.001, 0.2, 0.03, 0.03, 0.9]):
    out["holm"].append({"p": p, "adjusted": list(multitest.multipletests(p, method="holm")[1])})
values = [0.3, 9.25, -4.0, 2.5, 2.5, 7.125, 100.0]
for q in (0, 0.01, 0.25, 0.5, 0.9, 0.99, 1):
    out["percentile"].append({"values": values, "q": q, "value": float(np.percentile(values, 100 * q))})
for p in (1e-6, 0.01, 0.025, 0.2, 0.5, 0.95, 0.975, 0.9999):
    out["normal"].append({"p": p, "z": stats.norm.ppf(p)})
for k, n, p in [(0, 5, 0.3), (7, 20, 0.5), (1200, 5000, 0.25), (3, 3, 0.9), (40, 100000, 0.0005)]:
    out["binomial"].append({"k": k, "n": n, "p": p, "pmf": stats.binom.pmf(k, n, p),
                            "cdf": stats.binom.cdf(k, n, p), "upper": stats.binom.sf(k - 1, n, p)})
print(json.dumps(out, indent=1))
