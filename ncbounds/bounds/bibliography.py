"""What the shipped bounds cite, by key."""

from collections.abc import Iterable

from ncbounds.bounds.references import Reference
from ncbounds.registry import Registry


def cited(references: Iterable[str | Reference]) -> tuple[Reference, ...]:
    """Return references that are given as keys of the bibliography or as they are.

    Raises
    ------
    UnknownName
        For a key that is not in the bibliography.
    """
    return tuple(r if isinstance(r, Reference) else REFERENCES[r] for r in references)


_SHIPPED = (
    Reference(
        "clopper1934",
        "C. J. Clopper and E. S. Pearson",
        "The use of confidence or fiducial limits illustrated in the case of the binomial",
        "Biometrika 26(4):404-413, 1934",
        1934,
    ),
    Reference(
        "hoeffding1956",
        "W. Hoeffding",
        "On the distribution of the number of successes in independent trials",
        "Annals of Mathematical Statistics 27(3):713-721, 1956",
        1956,
    ),
    Reference(
        "hoeffding1963",
        "W. Hoeffding",
        "Probability inequalities for sums of bounded random variables",
        "Journal of the American Statistical Association 58(301):13-30, 1963",
        1963,
    ),
    Reference(
        "waudbysmith2024",
        "I. Waudby-Smith and A. Ramdas",
        "Estimating means of bounded random variables by betting",
        "Journal of the Royal Statistical Society B 86(1):1-27, 2024. arXiv:2010.09686",
        2024,
    ),
    Reference(
        "berger1994",
        "R. L. Berger and D. D. Boos",
        "P values maximized over a confidence set for the nuisance parameter",
        "Journal of the American Statistical Association 89(427):1012-1016, 1994",
        1994,
    ),
    Reference(
        "maurer2009",
        "A. Maurer and M. Pontil",
        "Empirical Bernstein bounds and sample variance penalization",
        "Conference on Learning Theory 2009. arXiv:0907.3740",
        2009,
    ),
    Reference(
        "vovk2021",
        "V. Vovk and R. Wang",
        "E-values: calibration, combination and applications",
        "Annals of Statistics 49(3):1736-1754, 2021. arXiv:1912.06116",
        2021,
    ),
    Reference(
        "langford2005",
        "J. Langford",
        "Tutorial on practical prediction theory for classification",
        "Journal of Machine Learning Research 6:273-306, 2005",
        2005,
    ),
    Reference(
        "langford2002",
        "J. Langford and J. Shawe-Taylor",
        "PAC-Bayes and margins",
        "Advances in Neural Information Processing Systems 15, 2002",
        2002,
    ),
    Reference(
        "seeger2002",
        "M. Seeger",
        "PAC-Bayesian generalisation error bounds for Gaussian process classification",
        "Journal of Machine Learning Research 3:233-269, 2002",
        2002,
    ),
    Reference(
        "maurer2004",
        "A. Maurer",
        "A note on the PAC Bayesian theorem",
        "arXiv:cs/0411099, 2004",
        2004,
    ),
    Reference(
        "maurer2016",
        "A. Maurer",
        "A vector-contraction inequality for Rademacher complexities",
        "Algorithmic Learning Theory 2016, pages 3-17. arXiv:1605.00251",
        2016,
    ),
    Reference(
        "bartlett2002",
        "P. L. Bartlett and S. Mendelson",
        "Rademacher and Gaussian complexities: risk bounds and structural results",
        "Journal of Machine Learning Research 3:463-482, 2002",
        2002,
    ),
    Reference(
        "koltchinskii2002",
        "V. Koltchinskii and D. Panchenko",
        "Empirical margin distributions and bounding the generalization error of "
        "combined classifiers",
        "Annals of Statistics 30(1):1-50, 2002",
        2002,
    ),
    Reference(
        "mcdiarmid1989",
        "C. McDiarmid",
        "On the method of bounded differences",
        "Surveys in Combinatorics 1989, pages 148-188. Cambridge University Press",
        1989,
    ),
    Reference(
        "kantorovich1958",
        "L. V. Kantorovich and G. S. Rubinstein",
        "On a space of completely additive functions",
        "Vestnik Leningradskogo Universiteta 13(7):52-59, 1958 (in Russian)",
        1958,
    ),
    Reference(
        "chuang2021",
        "C.-Y. Chuang, Y. Mroueh, K. Greenewald, A. Torralba and S. Jegelka",
        "Measuring generalization with optimal transport",
        "NeurIPS 2021. arXiv:2106.03314",
        2021,
    ),
    Reference(
        "jiang2019",
        "Y. Jiang, D. Krishnan, H. Mobahi and S. Bengio",
        "Predicting the generalization gap in deep networks with margin distributions",
        "ICLR 2019. arXiv:1810.00113",
        2019,
    ),
    Reference(
        "jiang2020",
        "Y. Jiang, B. Neyshabur, H. Mobahi, D. Krishnan and S. Bengio",
        "Fantastic generalization measures and where to find them",
        "ICLR 2020. arXiv:1912.02178",
        2020,
    ),
    Reference(
        "chernoff1952",
        "H. Chernoff",
        "A measure of asymptotic efficiency for tests of a hypothesis based on the sum "
        "of observations",
        "Annals of Mathematical Statistics 23(4):493-507, 1952",
        1952,
    ),
    Reference(
        "himeno2014",
        "T. Himeno and T. Yamada",
        "Estimations for some functions of covariance matrix in high dimension under "
        "non-normality and its applications",
        "Journal of Multivariate Analysis 130:27-44, 2014",
        2014,
    ),
    Reference(
        "kaariainen2005",
        "M. Kääriäinen",
        "Generalization error bounds using unlabeled data",
        "COLT 2005, pages 127-142",
        2005,
    ),
    Reference(
        "luntz1969",
        "A. Luntz and V. Brailovsky",
        "On estimation of characters obtained in statistical procedure of recognition",
        "Technicheskaya Kibernetica 3, 1969 (in Russian)",
        1969,
    ),
    Reference(
        "golub1979",
        "G. H. Golub, M. Heath and G. Wahba",
        "Generalized cross-validation as a method for choosing a good ridge parameter",
        "Technometrics 21(2):215-223, 1979",
        1979,
    ),
    Reference(
        "you2021",
        "K. You, Y. Liu, J. Wang and M. Long",
        "LogME: practical assessment of pre-trained models for transfer learning",
        "ICML 2021. arXiv:2102.11005",
        2021,
    ),
    Reference(
        "bao2019",
        "Y. Bao, Y. Li, S.-L. Huang, L. Zhang, L. Zheng, A. Zamir and L. Guibas",
        "An information-theoretic approach to transferability in task transfer learning",
        "IEEE ICIP 2019",
        2019,
    ),
    Reference(
        "xu2023",
        "J. Xu and H. Liu",
        "Quantifying the variability collapse of neural networks",
        "ICML 2023. arXiv:2306.03440",
        2023,
    ),
    Reference(
        "luthra2025",
        "A. Luthra, T. Yang and T. Galanti",
        "Self-supervised contrastive learning is approximately supervised contrastive learning",
        "NeurIPS 2025. arXiv:2506.04411",
        2025,
    ),
    Reference(
        "luthra2026",
        "A. Luthra, Y. Salunkhe and T. Galanti",
        "Directional neural collapse explains few-shot transfer in self-supervised learning",
        "ICML 2026. arXiv:2603.03530",
        2026,
    ),
    Reference(
        "sorscher2022",
        "B. Sorscher, S. Ganguli and H. Sompolinsky",
        "Neural representational geometry underlies few-shot concept learning",
        "PNAS 119(43):e2200800119, 2022",
        2022,
    ),
    Reference(
        "stone1974",
        "M. Stone",
        "Cross-validatory choice and assessment of statistical predictions",
        "Journal of the Royal Statistical Society B 36(2):111-147, 1974",
        1974,
    ),
    Reference(
        "cantelli1929",
        "F. P. Cantelli",
        "Sui confini della probabilità",
        "Atti del Congresso Internazionale dei Matematici, Bologna 1928, volume 6:47-59, 1929",
        1929,
    ),
    Reference(
        "catoni2007",
        "O. Catoni",
        "PAC-Bayesian supervised classification: the thermodynamics of statistical learning",
        "IMS Lecture Notes 56, 2007",
        2007,
    ),
    Reference(
        "papyan2020",
        "V. Papyan, X. Y. Han and D. L. Donoho",
        "Prevalence of neural collapse during the terminal phase of deep learning training",
        "PNAS 117(40):24652-24663, 2020",
        2020,
    ),
    Reference(
        "galanti2022",
        "T. Galanti, A. György and M. Hutter",
        "On the role of neural collapse in transfer learning",
        "ICLR 2022. arXiv:2112.15121",
        2022,
    ),
    Reference(
        "olkin1958",
        "I. Olkin and J. W. Pratt",
        "A multivariate Tchebycheff inequality",
        "Annals of Mathematical Statistics 29(1):226-234, 1958",
        1958,
    ),
    Reference(
        "marshall1960",
        "A. W. Marshall and I. Olkin",
        "A one-sided inequality of the Chebyshev type",
        "Annals of Mathematical Statistics 31(2):488-491, 1960",
        1960,
    ),
    Reference(
        "vysochanskij1983",
        "D. F. Vysochanskij and Y. I. Petunin",
        "A remark on the paper 'Justification of the 3-sigma rule for unimodal distributions'",
        "Theory of Probability and Mathematical Statistics 27:27-29, 1983",
        1983,
    ),
    Reference(
        "ion2023",
        "R. A. Ion, C. A. J. Klaassen and E. R. van den Heuvel",
        "Sharp inequalities of Bienaymé-Chebyshev and Gauß type for possibly asymmetric "
        "intervals around the mean",
        "TEST 32:566-601, 2023. arXiv:2208.08813",
        2023,
    ),
    Reference(
        "hartigan1985",
        "J. A. Hartigan and P. M. Hartigan",
        "The dip test of unimodality",
        "Annals of Statistics 13(1):70-84, 1985",
        1985,
    ),
    Reference(
        "jarque1987",
        "C. M. Jarque and A. K. Bera",
        "A test for normality of observations and regression residuals",
        "International Statistical Review 55(2):163-172, 1987",
        1987,
    ),
    Reference(
        "owen1968",
        "D. B. Owen",
        "A survey of properties and applications of the noncentral t-distribution",
        "Technometrics 10(3):445-478, 1968",
        1968,
    ),
    Reference(
        "saw1984",
        "J. G. Saw, M. C. K. Yang and T. C. Mo",
        "Chebyshev inequality with estimated mean and variance",
        "The American Statistician 38(2):130-132, 1984",
        1984,
    ),
    Reference(
        "kaban2012",
        "A. Kabán",
        "Non-parametric detection of meaningless distances in high dimensional data",
        "Statistics and Computing 22(2):375-385, 2012",
        2012,
    ),
    Reference(
        "vandenberghe2007",
        "L. Vandenberghe, S. Boyd and K. Comanor",
        "Generalized Chebyshev bounds via semidefinite programming",
        "SIAM Review 49(1):52-64, 2007",
        2007,
    ),
    Reference(
        "bertsimas2005",
        "D. Bertsimas and I. Popescu",
        "Optimal inequalities in probability theory: a convex optimization approach",
        "SIAM Journal on Optimization 15(3):780-804, 2005",
        2005,
    ),
    Reference(
        "dharmadhikari1988",
        "S. Dharmadhikari and K. Joag-Dev",
        "Unimodality, Convexity, and Applications",
        "Academic Press, 1988",
        1988,
    ),
    Reference(
        "vanparys2016",
        "B. P. G. Van Parys, P. J. Goulart and D. Kuhn",
        "Generalized Gauss inequalities via semidefinite programming",
        "Mathematical Programming 156:271-302, 2016",
        2016,
    ),
    Reference(
        "lanckriet2002",
        "G. R. G. Lanckriet, L. El Ghaoui, C. Bhattacharyya and M. I. Jordan",
        "A robust minimax approach to classification",
        "Journal of Machine Learning Research 3:555-582, 2002",
        2002,
    ),
    Reference(
        "bartlett2017",
        "P. L. Bartlett, D. J. Foster and M. Telgarsky",
        "Spectrally-normalized margin bounds for neural networks",
        "NeurIPS 2017. arXiv:1706.08498",
        2017,
    ),
    Reference(
        "golowich2018",
        "N. Golowich, A. Rakhlin and O. Shamir",
        "Size-independent sample complexity of neural networks",
        "COLT 2018. arXiv:1712.06541",
        2018,
    ),
    Reference(
        "graf2022",
        "F. Graf, S. Zeng, B. Rieck, M. Niethammer and R. Kwitt",
        "On measuring excess capacity in neural networks",
        "NeurIPS 2022",
        2022,
    ),
    Reference(
        "neyshabur2015",
        "B. Neyshabur, R. Tomioka and N. Srebro",
        "Norm-based capacity control in neural networks",
        "COLT 2015. arXiv:1503.00036",
        2015,
    ),
    Reference(
        "blumer1987",
        "A. Blumer, A. Ehrenfeucht, D. Haussler and M. K. Warmuth",
        "Occam's razor",
        "Information Processing Letters 24(6):377-380, 1987",
        1987,
    ),
    Reference(
        "lotfi2022",
        "S. Lotfi, M. Finzi, S. Kapoor, A. Potapczynski, M. Goldblum and A. G. Wilson",
        "PAC-Bayes compression bounds so tight that they can explain generalization",
        "NeurIPS 2022. arXiv:2211.13609",
        2022,
    ),
    Reference(
        "zhu2021",
        "Z. Zhu, T. Ding, J. Zhou, X. Li, C. You, J. Sulam and Q. Qu",
        "A geometric analysis of neural collapse with unconstrained features",
        "NeurIPS 2021. arXiv:2105.02375",
        2021,
    ),
    Reference(
        "li2017",
        "Q. Li, Z. Zhu and G. Tang",
        "Geometry of factored nuclear norm regularization",
        "arXiv:1704.01265, 2017",
        2017,
    ),
    Reference(
        "li2024",
        "P. Li, X. Li, Y. Wang and Q. Qu",
        "Neural collapse in multi-label learning with pick-all-label loss",
        "ICML 2024. arXiv:2310.15903",
        2024,
    ),
    Reference(
        "thrampoulidis2022",
        "C. Thrampoulidis, G. R. Kini, V. Vakilian and T. Behnia",
        "Imbalance trouble: revisiting neural-collapse geometry",
        "NeurIPS 2022. arXiv:2208.05512",
        2022,
    ),
)

#: The bibliography; ``ncbounds.register(Reference(...))`` adds to it.
REFERENCES: Registry[Reference] = Registry(
    Reference, "reference", lambda reference: reference.key, lambda: _SHIPPED
)
