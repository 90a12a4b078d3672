select
    flights.flight_id,
    flights.flight_date,
    flights.month,
    flights.hour,
    flights.carrier,
    airlines.airline,
    flights.origin,
    flights.dest,
    flights.distance,
    flights.dep_delay,
    flights.arr_delay,
    flights.is_cancelled,
    flights.arr_delay > 15 as is_late,
    weather.temperature_c,
    weather.wind_kmh,
    weather.rain_mm,
    weather.visibility_km
from {{ ref('stg_flights') }} as flights
inner join {{ ref('stg_airlines') }} as airlines on flights.carrier = airlines.carrier
left join {{ ref('stg_weather') }} as weather
    on flights.origin = weather.origin
    and flights.flight_date = weather.weather_date
    and flights.hour = weather.hour
