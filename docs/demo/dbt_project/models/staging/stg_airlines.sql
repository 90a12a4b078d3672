select carrier, replace(replace(name, ' Inc.', ''), ' Co.', '') as airline
from {{ source('raw', 'raw_airlines') }}
