"""Every word with a closed set of values: one enum each, lower case in JSON."""

from enum import Enum


class Word(Enum):
    """An enum whose value is the word that JSON, the command line and reports show."""

    def __str__(self) -> str:
        return str(self.value)


class CustomerDataType(Word):
    """The family of science a dataset belongs to."""

    MULTI_OMICS = "multi_omics"
    CLINICAL = "clinical"
    IMAGING = "imaging"
    ENVIRONMENTAL = "environmental"
    ASTRONOMY_PHYSICS = "astronomy_physics"
    GENERAL = "general"


class DataModalityType(Word):
    """The kind of measurement a dataset holds."""

    GENOMIC_SEQUENCES = "genomic_sequences"
    TRANSCRIPTOMICS = "transcriptomics"
    EPIGENOMICS = "epigenomics"
    PROTEOMICS = "proteomics"
    METABOLOMICS = "metabolomics"
    CLINICAL_RECORDS = "clinical_records"
    MICROSCOPY = "microscopy"
    MEDICAL_IMAGING = "medical_imaging"
    SPATIAL_OMICS = "spatial_omics"
    REMOTE_SENSING = "remote_sensing"
    SENSOR_SERIES = "sensor_series"
    ASTRONOMY = "astronomy"
    PHYSICS = "physics"
    GENERAL = "general"


class ProcessingMode(Word):
    """How the engine is driven."""

    BATCH = "batch"
    REAL_TIME = "real_time"
    STREAMING = "streaming"
    FEDERATED = "federated"


class ProcessingPriority(Word):
    """Who goes first; a higher class is served before a lower one."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class RequestState(Word):
    """Where a request stands; request.TRANSITIONS says what may follow what."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Level(Word):
    """The certificate's level, best first."""

    PUBLICATION_READY = "PUBLICATION_READY"
    RESEARCH_GRADE = "RESEARCH_GRADE"
    EXPLORATORY = "EXPLORATORY"
    NOT_CERTIFIED = "NOT_CERTIFIED"


class Dimension(Word):
    """The five dimensions of quality, and the gate that stands before them."""

    COMPLETENESS = "completeness"
    CONSISTENCY = "consistency"
    ACCURACY = "accuracy"
    VALIDITY = "validity"
    REPRODUCIBILITY = "reproducibility"
    INTEGRITY = "integrity"


class RuleKind(Word):
    """What a rule's violations do: close a gate, lower the score, or only stand as a finding."""

    STRUCTURAL = "structural"
    SCORED = "scored"
    ADVISORY = "advisory"


class Severity(Word):
    """How loudly a finding speaks."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Role(Word):
    """What a field's values are for; only floating-point measurements may be stored with a bound."""

    MEASUREMENT = "measurement"
    COORDINATE = "coordinate"
    IDENTIFIER = "identifier"
    LABEL = "label"
    CODE = "code"
    TIME = "time"
    MASK = "mask"
    WEIGHT = "weight"
    TEXT = "text"
